//! Stabilization and limits by direction: from `behavior`, else from annotations, else the defaults of the strategy.

use super::count;
use crate::annotations::Settings;
use crate::resolved::{RulePolicy, Rules, RulesFrom};
use crate::v1alpha1::{PodAutoscalerSpec, PolicyType, ScalingRules, ScalingStrategy, SelectPolicy};
use std::time::Duration;

/// AIBrix's scale-down cooldown where the annotation is absent.
const DEFAULT_DOWN_COOLDOWN: Duration = Duration::from_secs(300);
/// AIBrix's rate, up and down, where the annotation is absent.
const DEFAULT_RATE: f64 = 2.0;
/// The period of the policies that AIBrix writes into an HPA.
const AIBRIX_PERIOD: Duration = Duration::from_secs(60);
/// The period of Kubernetes' default policies (kubernetes `pkg/apis/autoscaling/v2/defaults.go`).
const KUBERNETES_PERIOD: Duration = Duration::from_secs(15);

/// Both directions, and where they come from.
pub(super) struct Both {
    pub(super) up: Rules,
    pub(super) down: Rules,
    pub(super) from: RulesFrom,
}

pub(super) fn rules(spec: &PodAutoscalerSpec, settings: &Settings) -> Both {
    let hpa = spec.scaling_strategy == ScalingStrategy::Hpa;
    let planned = spec.scaling_strategy.plans();
    let annotated = [
        settings.max_scale_up_rate.is_some() || settings.up_cooldown.is_some(),
        settings.max_scale_down_rate.is_some() || settings.down_cooldown.is_some(),
    ];
    // A behavior without directions says nothing.
    let behavior = spec.behavior.as_ref().filter(|b| b.scale_up.is_some() || b.scale_down.is_some());
    let directions = behavior.map_or([None, None], |b| [b.scale_up.as_ref(), b.scale_down.as_ref()]);
    let (base, from) = match (behavior, hpa) {
        (Some(_), true) => (by_direction(directions, annotated, settings), RulesFrom::Behavior),
        (Some(_), false) => (cooldowns(settings, planned), RulesFrom::Behavior),
        (None, true) if annotated.contains(&true) => (aibrix_hpa(settings), RulesFrom::Annotations),
        (None, true) => (kubernetes(), RulesFrom::Kubernetes),
        (None, false) => (cooldowns(settings, planned), RulesFrom::Annotations),
    };
    let ([up, down], [stated_up, stated_down]) = (base, directions);
    Both { up: stated(stated_up, up), down: stated(stated_down, down), from }
}

/// HPA with a `behavior`: a direction that it leaves out comes from its annotations, where there are any.
fn by_direction(stated: [Option<&ScalingRules>; 2], annotated: [bool; 2], settings: &Settings) -> [Rules; 2] {
    let ([up, down], [aibrix_up, aibrix_down]) = (kubernetes(), aibrix_hpa(settings));
    let pick = |index: usize, plain, aibrix| {
        if stated[index].is_none() && annotated[index] { aibrix } else { plain }
    };
    [pick(0, up, aibrix_up), pick(1, down, aibrix_down)]
}

/// The rules of a direction that `behavior` states; what it leaves out is the base's.
fn stated(rules: Option<&ScalingRules>, base: Rules) -> Rules {
    let Some(rules) = rules else { return base };
    let window = rules.stabilization_window_seconds.map(|seconds| Duration::from_secs(count(seconds).into()));
    Rules {
        stabilization: window.or(base.stabilization),
        select: rules.select_policy.unwrap_or(base.select),
        policies: rules.policies.as_ref().map_or(base.policies, |policies| {
            let policy = |policy: &crate::v1alpha1::Policy| RulePolicy {
                kind: policy.type_,
                value: count(policy.value),
                period: Duration::from_secs(count(policy.period_seconds).into()),
            };
            policies.iter().map(policy).collect()
        }),
    }
}

/// KPA, APA and the planning strategies: cooldown windows, and no limit besides the strategy's rates. A plan knows itself how long
/// what it lets go could not be had back, so it has a window only where one is asked for.
fn cooldowns(settings: &Settings, planned: bool) -> [Rules; 2] {
    let free = |window| Rules { stabilization: Some(window), select: SelectPolicy::Max, policies: Vec::new() };
    [
        free(settings.up_cooldown.unwrap_or(Duration::ZERO)),
        free(settings.down_cooldown.unwrap_or(if planned { Duration::ZERO } else { DEFAULT_DOWN_COOLDOWN })),
    ]
}

/// Kubernetes' v2 defaults; the scale-down window is a flag of the controller.
fn kubernetes() -> [Rules; 2] {
    let policy = |kind, value| RulePolicy { kind, value, period: KUBERNETES_PERIOD };
    [
        Rules {
            stabilization: Some(Duration::ZERO),
            select: SelectPolicy::Max,
            policies: vec![policy(PolicyType::Pods, 4), policy(PolicyType::Percent, 100)],
        },
        Rules { stabilization: None, select: SelectPolicy::Max, policies: vec![policy(PolicyType::Percent, 100)] },
    ]
}

/// The behaviour that AIBrix writes into an HPA: one Percent policy a minute for each direction.
fn aibrix_hpa(settings: &Settings) -> [Rules; 2] {
    let up = settings.max_scale_up_rate.unwrap_or(DEFAULT_RATE);
    let down = settings.max_scale_down_rate.unwrap_or(DEFAULT_RATE);
    [
        percent(settings.up_cooldown.unwrap_or(Duration::ZERO), SelectPolicy::Max, (up - 1.0) * 100.0),
        percent(settings.down_cooldown.unwrap_or(DEFAULT_DOWN_COOLDOWN), SelectPolicy::Min, (1.0 - 1.0 / down) * 100.0),
    ]
}

/// One Percent policy. 0 % cannot be written as one: it means no change, which `Disabled` says.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "truncated as AIBrix does, saturated above")]
fn percent(stabilization: Duration, select: SelectPolicy, percent: f64) -> Rules {
    let value = percent.clamp(0.0, f64::from(i32::MAX)) as u32;
    let (select, policies) = match value {
        0 => (SelectPolicy::Disabled, Vec::new()),
        value => (select, vec![RulePolicy { kind: PolicyType::Percent, value, period: AIBRIX_PERIOD }]),
    };
    // A window of an HPA is a whole number of seconds.
    Rules { stabilization: Some(Duration::from_secs(stabilization.as_secs())), select, policies }
}
