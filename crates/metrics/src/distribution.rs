//! Means, quantiles and rates of what comes as a distribution: histograms, summaries, and pairs of counters that sum up
//! and count.

use crate::absent::Absent;
use crate::evaluate::{Asked, no_growth};
use crate::memory::{Memory, Point};
use crate::plan::Alternative;
use crate::query::Statistic;
use crate::series::{Series, highest, that_count};
use promtext::{Family, Histogram};
use std::collections::BTreeMap;

const OF_HISTOGRAMS: &str = "rate, mean, p50, p90, p95, p99";
const WITHOUT_BUCKETS: &str = "rate, mean";

/// Of a histogram's growth, series by series: one that began anew must not hide in a sum with others.
pub(crate) fn of_histogram(
    asked: &Asked<'_, '_>,
    family: &Family<'_, '_>,
    one: &Alternative,
    statistic: Statistic,
    memory: &mut Memory,
) -> Result<f64, Absent> {
    if statistic == Statistic::Value {
        return Err(Absent::Unsupported { family: one.family.clone(), statistic, allowed: OF_HISTOGRAMS });
    }
    let matching = family.histograms().into_iter().map(|(sample, histogram)| (sample.labels, histogram));
    let series = that_count(&one.family, matching.filter(|(labels, _)| asked.selects(*labels, one)));
    grown(asked, series, one, statistic, memory)
}

/// Of a summary: mean and rate as of a histogram; a quantile is the exporter's own, over a span that it chose.
pub(crate) fn of_summary(
    asked: &Asked<'_, '_>,
    family: &Family<'_, '_>,
    one: &Alternative,
    statistic: Statistic,
    memory: &mut Memory,
) -> Result<f64, Absent> {
    let Statistic::Percentile(percent) = statistic else {
        return of_histogram(asked, family, one, statistic, memory);
    };
    let name = || one.family.clone();
    let wanted = f64::from(percent) / 100.0;
    let is_wanted = |text: &str| text.parse().is_ok_and(|quantile: f64| (quantile - wanted).abs() < 1e-9);
    let matching = family.values().filter(|sample| {
        asked.selects(sample.labels, one) && sample.labels.get("quantile").is_some_and(|text| is_wanted(&text))
    });
    let found = that_count(&one.family, matching.map(|sample| (sample.labels, sample.value)));
    match found.as_slice() {
        [] => Err(Absent::NoSuchQuantile { family: name(), statistic }),
        [found] if found.value.is_nan() => Err(Absent::NoNewObservations { family: name() }),
        [found] if found.value >= 0.0 => Ok(asked.convert(found.value, one)),
        [_] => Err(Absent::Unusable { family: name() }),
        _ => Err(Absent::SeveralQuantiles { family: name() }),
    }
}

/// Of a counter that sums up what another counts.
pub(crate) fn of_counters(
    asked: &Asked<'_, '_>,
    family: &Family<'_, '_>,
    one: &Alternative,
    statistic: Statistic,
    memory: &mut Memory,
) -> Result<f64, Absent> {
    if !matches!(statistic, Statistic::Mean | Statistic::Rate) {
        return Err(Absent::Unsupported { family: one.family.clone(), statistic, allowed: WITHOUT_BUCKETS });
    }
    let counting = asked.family(one.per.unwrap_or_default())?;
    let of_counts = Alternative { text: String::new(), family: one.per.unwrap_or_default().to_owned(), ..*one };
    let counts: BTreeMap<String, f64> =
        asked.series(&counting, &of_counts)?.into_iter().map(|series| (series.key, series.value)).collect();
    let pair = |sum: Series<f64>| {
        let count = counts.get(&sum.key)?;
        let value = Histogram::new(Vec::new(), Some(sum.value), Some(*count));
        Some(Series { key: sum.key, group: sum.group, value })
    };
    let series = asked.series(family, one)?.into_iter().filter_map(pair).collect();
    grown(asked, series, one, statistic, memory)
}

fn grown(
    asked: &Asked<'_, '_>,
    series: Vec<Series<Histogram>>,
    one: &Alternative,
    statistic: Statistic,
    memory: &mut Memory,
) -> Result<f64, Absent> {
    let name = || one.family.clone();
    if series.is_empty() {
        return Err(Absent::NoSeriesMatches { family: name() });
    }
    let groups: Vec<(String, String)> =
        series.iter().map(|series| (series.group.clone(), series.key.clone())).collect();
    let snapshot = series.into_iter().map(|series| (series.key, Point::Histogram(series.value))).collect();
    let mut growth = memory.grow(asked.key(one), asked.now, snapshot).map_err(|why| no_growth(why, &one.family))?;
    let grown = groups.into_iter().filter_map(|(group, key)| match growth.series.remove(&key)? {
        Point::Histogram(grown) => Some((group, grown)),
        Point::Counter(_) => None,
    });
    let count = |histogram: &Histogram| histogram.count().unwrap_or(0.0);
    let together = highest(grown, count).into_iter().reduce(|a, b| a.plus(&b));
    let together = together.ok_or_else(|| Absent::NoNewObservations { family: name() })?;
    // Observations a second have no unit; everything else is in the family's.
    let summary = summarise(&together, statistic, growth.seconds, &one.family)?;
    Ok(if statistic == Statistic::Rate { summary } else { asked.convert(summary, one) })
}

fn summarise(growth: &Histogram, statistic: Statistic, seconds: f64, family: &str) -> Result<f64, Absent> {
    let family = || family.to_owned();
    let none = || Absent::NoNewObservations { family: family() };
    match statistic {
        Statistic::Rate => growth.count().map(|count| count / seconds).ok_or_else(none),
        Statistic::Mean => growth.mean().ok_or_else(none),
        Statistic::Percentile(_) if !growth.has_infinite_bucket() => {
            Err(Absent::NoInfiniteBucket { family: family(), statistic })
        }
        Statistic::Percentile(percent) => growth.quantile(f64::from(percent) / 100.0).ok_or_else(none),
        Statistic::Value => Err(Absent::Unsupported { family: family(), statistic, allowed: OF_HISTOGRAMS }),
    }
}
