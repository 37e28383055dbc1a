//! Bounds by the calendar, as AIBrix writes them. Must not know what a zone or an overlap is; validation does.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A weekly window with its own bounds.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Schedule {
    /// The name of the schedule, unique within the object.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// IANA time zone, the same for all entries; UTC where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub timezone: Option<String>,
    /// Three-letter English weekdays in either case; every day where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub days_of_week: Option<Vec<String>>,
    /// First minute of the window, HH:MM in 24 hours.
    #[schemars(length(max = 16))]
    pub start_time: String,
    /// End of the window, exclusive, HH:MM in 24 hours and after startTime.
    #[schemars(length(max = 16))]
    pub end_time: String,
    /// Fewest replicas while active; the object's own where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_replicas: Option<i32>,
    /// Most replicas while active; the object's own where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_replicas: Option<i32>,
}
