//! Loads as text: `poisson:rate=5`, `burst:base=2,peak=30,every=30s,for=5s`, each with optional sizes.

use super::{Phase, Shape, Sizes, Synthetic};
use std::collections::BTreeMap;

/// What is wrong with a load's text, and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SpecError(String);

const FORMS: &str = "poisson:rate=5 | even:rate=5 | ramp:from=1,to=20,over=60s | burst:base=2,peak=30,every=30s,for=5s | \
sinus:mean=10,amplitude=8,period=60s | quickstart[:scale=1]; each also takes input=TOKENS, output=TOKENS, cv=0.5";
/// Rates above this are a typing error, not a load for one machine.
const MAX_RATE: f64 = 1e6;
/// Mean tokens where nothing is said: a chat's.
const DEFAULT_INPUT: f64 = 256.0;
const DEFAULT_OUTPUT: f64 = 128.0;
/// Seconds of a load where nothing is said.
const DEFAULT_LENGTH: f64 = 60.0;

/// Reads a load. `length` overrides how long it lasts.
pub fn parse(text: &str, length: Option<f64>, seed: u64) -> Result<Synthetic, SpecError> {
    let (form, rest) = text.split_once(':').unwrap_or((text, ""));
    let mut fields = Fields::new(rest)?;
    let mut load = match form {
        "quickstart" => Synthetic::quickstart(fields.number("scale", Some(1.0))?, seed),
        _ => Synthetic {
            shape: shape(form, &mut fields)?,
            input: Sizes::Fixed(1),
            output: Sizes::Fixed(1),
            length: DEFAULT_LENGTH,
            seed,
        },
    };
    if form != "quickstart" {
        let cv = fields.number("cv", Some(0.5))?;
        let sizes = |mean: f64| if cv > 0.0 { Sizes::LogNormal { mean, cv } } else { Sizes::Fixed(whole(mean)) };
        load.input = sizes(fields.number("input", Some(DEFAULT_INPUT))?);
        load.output = sizes(fields.number("output", Some(DEFAULT_OUTPUT))?);
        if let Shape::Phases(phases) = &load.shape {
            load.length = phases.iter().map(|phase| phase.length).sum();
        }
    }
    fields.end()?;
    load.length = length.unwrap_or(load.length);
    Ok(load)
}

fn shape(form: &str, fields: &mut Fields<'_>) -> Result<Shape, SpecError> {
    Ok(match form {
        "poisson" => Shape::Poisson { rate: fields.rate("rate")? },
        "even" => Shape::Even { rate: fields.rate("rate")? },
        "ramp" => Shape::Phases(vec![Phase {
            length: fields.seconds("over")?,
            from: fields.rate("from")?,
            to: fields.rate("to")?,
        }]),
        "burst" => Shape::Burst {
            base: fields.rate("base")?,
            peak: fields.rate("peak")?,
            every: fields.seconds("every")?,
            lasts: fields.seconds("for")?,
        },
        "sinus" => Shape::Sinus {
            mean: fields.rate("mean")?,
            amplitude: fields.rate("amplitude")?,
            period: fields.seconds("period")?,
        },
        _ => return Err(SpecError(format!("unknown load {form:?}; allowed: {FORMS}"))),
    })
}

/// Seconds from `5`, `5s`, `2m30s`, `500ms`; none from anything else.
#[must_use]
pub fn seconds(text: &str) -> Option<f64> {
    match text.parse::<f64>() {
        Ok(value) => Some(value),
        Err(_) => humantime::parse_duration(text).ok().map(|duration| duration.as_secs_f64()),
    }
}

struct Fields<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Fields<'a> {
    fn new(text: &'a str) -> Result<Self, SpecError> {
        let mut fields = BTreeMap::new();
        for pair in text.split(',').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair
                .split_once('=')
                .ok_or_else(|| SpecError(format!("{pair:?} is no name=value; allowed: {FORMS}")))?;
            if fields.insert(name.trim(), value.trim()).is_some() {
                return Err(SpecError(format!("{name} is given twice")));
            }
        }
        Ok(Self(fields))
    }

    fn take(&mut self, name: &str) -> Result<&'a str, SpecError> {
        self.0.remove(name).ok_or_else(|| SpecError(format!("{name}= is missing; allowed: {FORMS}")))
    }

    fn number(&mut self, name: &str, default: Option<f64>) -> Result<f64, SpecError> {
        if let (Some(default), false) = (default, self.0.contains_key(name)) {
            return Ok(default);
        }
        let text = self.take(name)?;
        match text.parse::<f64>() {
            Ok(value) if value.is_finite() && (0.0..=MAX_RATE).contains(&value) => Ok(value),
            _ => Err(SpecError(format!("{name}={text} is not allowed; allowed: a number from 0 to {MAX_RATE:e}"))),
        }
    }

    fn rate(&mut self, name: &str) -> Result<f64, SpecError> {
        self.number(name, None)
    }

    fn seconds(&mut self, name: &str) -> Result<f64, SpecError> {
        let text = self.take(name)?;
        match seconds(text) {
            Some(value) if value.is_finite() && value > 0.0 => Ok(value),
            _ => Err(SpecError(format!("{name}={text} is not allowed; allowed: a time above 0 such as 30s or 2m"))),
        }
    }

    fn end(self) -> Result<(), SpecError> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => Err(SpecError(format!("unknown field {name}; allowed: {FORMS}"))),
        }
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float to integer cast saturates")]
fn whole(tokens: f64) -> u32 {
    (tokens.round() as u32).max(1)
}
