//! CEL rules of the CRD: what an API server can refuse by itself. [`crate::validate`] states all of these again for
//! servers that know no CEL, and more that CEL cannot say (time zones, overlaps, Go's number syntax in full).

/// One rule.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// The schema that it is attached to; `[]` stands for the items of a list.
    pub at: &'static str,
    /// The expression over `self`.
    pub rule: &'static str,
    /// What is said when it does not hold.
    pub message: &'static str,
    /// The field that is named, under the schema it is attached to.
    pub field: Option<&'static str>,
}

/// A rule without a field of its own.
const fn rule(at: &'static str, rule: &'static str, message: &'static str) -> Rule {
    Rule { at, rule, message, field: None }
}

impl Rule {
    /// With the field that is named.
    const fn on(mut self, field: &'static str) -> Self {
        self.field = Some(field);
        self
    }
}

/// Every rule, in the order of the schema.
pub const RULES: &[Rule] = &[
    rule("spec", "!has(self.minReplicas) || self.minReplicas >= 0", "minReplicas must not be negative")
        .on(".minReplicas"),
    rule("spec", "self.maxReplicas > 0", "maxReplicas must be above 0").on(".maxReplicas"),
    rule(
        "spec",
        "!has(self.minReplicas) || self.minReplicas <= self.maxReplicas",
        "minReplicas must not be above maxReplicas",
    )
    .on(".minReplicas"),
    rule(
        "spec",
        "has(self.scaleTargetRef.name) && self.scaleTargetRef.name != '' && has(self.scaleTargetRef.kind) && \
         self.scaleTargetRef.kind != ''",
        "scaleTargetRef needs a kind and a name",
    )
    .on(".scaleTargetRef"),
    rule(
        "spec",
        "self.scalingStrategy != 'HPA' || !has(self.subTargetSelector) || !has(self.subTargetSelector.roleName) || \
         self.subTargetSelector.roleName == ''",
        "subTargetSelector.roleName is not possible with HPA",
    )
    .on(".subTargetSelector"),
    rule(
        "spec",
        "has(self.metricsSources) && size(self.metricsSources) > 0",
        "metricsSources needs at least one entry",
    ),
    rule(
        "spec",
        "(has(self.panicWindowSeconds) ? self.panicWindowSeconds : 60) <= (has(self.observeWindowSeconds) ? \
         self.observeWindowSeconds : 180)",
        "panicWindowSeconds (60 where absent) must not be above observeWindowSeconds (180 where absent)",
    ),
    rule(
        "spec",
        "!has(self.schedules) || self.schedules.all(s, (has(s.minReplicas) ? s.minReplicas : has(self.minReplicas) ? \
         self.minReplicas : 1) <= (has(s.maxReplicas) ? s.maxReplicas : self.maxReplicas))",
        "a schedule's minReplicas must not be above its maxReplicas, the object's own where it has none",
    )
    .on(".schedules"),
    rule("spec.schedules", "self.all(s, self.exists_one(t, t.name == s.name))", "schedule names must be unique"),
    rule(
        "spec.schedules",
        "self.all(s, (has(s.timezone) && s.timezone != '' ? s.timezone : 'UTC') == (has(self[0].timezone) && \
         self[0].timezone != '' ? self[0].timezone : 'UTC'))",
        "all schedules must name the same timezone",
    ),
    rule(
        "spec.schedules[]",
        "self.startTime.matches('^([01][0-9]|2[0-3]):[0-5][0-9]$')",
        "startTime must be HH:MM in 24 hours",
    )
    .on(".startTime"),
    rule(
        "spec.schedules[]",
        "self.endTime.matches('^([01][0-9]|2[0-3]):[0-5][0-9]$')",
        "endTime must be HH:MM in 24 hours",
    )
    .on(".endTime"),
    rule("spec.schedules[]", "self.startTime < self.endTime", "startTime must be before endTime").on(".startTime"),
    rule(
        "spec.schedules[]",
        "!has(self.daysOfWeek) || self.daysOfWeek.all(d, \
         d.matches('^([mM][oO][nN]|[tT][uU][eE]|[wW][eE][dD]|[tT][hH][uU]|[fF][rR][iI]|[sS][aA][tT]|[sS][uU][nN])$'))",
        "daysOfWeek must be three-letter English weekdays",
    )
    .on(".daysOfWeek"),
    rule(
        "spec.schedules[]",
        "has(self.minReplicas) || has(self.maxReplicas)",
        "a schedule needs minReplicas or maxReplicas",
    ),
    rule("spec.schedules[]", "!has(self.minReplicas) || self.minReplicas >= 0", "minReplicas must not be negative")
        .on(".minReplicas"),
    rule("spec.schedules[]", "!has(self.maxReplicas) || self.maxReplicas > 0", "maxReplicas must be above 0")
        .on(".maxReplicas"),
    rule(
        "spec.metricsSources",
        "self.all(s, !has(s.name) || self.exists_one(t, has(t.name) && t.name == s.name))",
        "names of metric sources must be unique",
    ),
    rule("spec.metricsSources[]", "self.targetMetric != ''", "targetMetric must not be empty").on(".targetMetric"),
    rule(
        "spec.metricsSources[]",
        "self.targetValue.matches('^[+]?([0-9][0-9_]*[.]?[0-9_]*|[.][0-9][0-9_]*)([eE][+-]?[0-9][0-9_]*)?$') || \
         self.targetValue.matches('^[+]?0[xX][0-9a-fA-F_]*[.]?[0-9a-fA-F_]*[pP][+-]?[0-9][0-9_]*$')",
        "targetValue must be a number in a string, such as \"50\" or \"0.5\"",
    )
    .on(".targetValue"),
    rule(
        "spec.metricsSources[]",
        "!self.targetValue.matches('^[+]?[0._]*([eE].*)?$') && !self.targetValue.matches('^[+]?0[xX][0._]*[pP].*$')",
        "targetValue must be above 0",
    )
    .on(".targetValue"),
    rule(
        "spec.metricsSources[]",
        "self.metricSourceType != 'pod' || (has(self.protocolType) && has(self.port) && self.port != '' && \
         has(self.path) && self.path != '')",
        "a pod source needs protocolType, port and path",
    ),
    rule(
        "spec.metricsSources[]",
        "self.metricSourceType != 'resource' || self.targetMetric in ['cpu', 'memory']",
        "targetMetric of a resource source must be cpu or memory",
    )
    .on(".targetMetric"),
    rule(
        "spec.metricsSources[]",
        "self.metricSourceType != 'resource' || (!has(self.protocolType) && (!has(self.port) || self.port == '') && \
         (!has(self.path) || self.path == '') && (!has(self.endpoint) || self.endpoint == ''))",
        "a resource source takes no protocolType, port, path or endpoint",
    ),
    rule(
        "spec.metricsSources[]",
        "!(self.metricSourceType in ['external', 'domain']) || !has(self.endpoint) || self.endpoint == '' || \
         (has(self.protocolType) && has(self.path) && self.path != '')",
        "an external source with an endpoint needs protocolType and path",
    ),
    rule(
        "spec.metricsSources[]",
        "self.metricSourceType == 'object' ? (has(self.describedObject) && (!has(self.endpoint) || self.endpoint == '')) \
         : !has(self.describedObject)",
        "an object source needs describedObject and takes no endpoint; other sources take no describedObject",
    ),
    rule(
        "spec.metricsSources[]",
        "self.metricSourceType == 'prometheus' ? (has(self.query) && has(self.endpoint) && self.endpoint != '') : \
         !has(self.query)",
        "a prometheus source needs query and endpoint; other sources take no query",
    ),
    rule(
        "spec.metricsSources[]",
        "!has(self.targetType) || (self.targetType == 'Utilization' ? self.metricSourceType == 'resource' : \
         self.targetType == 'AverageValue' || !(self.metricSourceType in ['pod', 'resource']))",
        "targetType Utilization is for resource sources, Value not for pod and resource sources",
    )
    .on(".targetType"),
    rule(
        "spec.metricsSources[]",
        "!has(self.statistic) || self.metricSourceType == 'pod' || (self.metricSourceType in ['external', 'domain'] && \
         has(self.endpoint) && self.endpoint != '')",
        "statistic is for metrics that are read from an endpoint",
    )
    .on(".statistic"),
    rule("spec.fallback", "self.replicas >= 0", "replicas must not be negative").on(".replicas"),
    rule("spec.profiles[]", "has(self.configMapRef) != has(self.file)", "a profile needs either configMapRef or file"),
];
