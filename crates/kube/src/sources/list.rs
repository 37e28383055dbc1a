//! Lists of the metrics APIs, and quantities in them: bounded, and lenient to one unsound item among sound ones.

use autoscaler_runtime::quantity;
use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// The longest list that is read, in items. Beyond it lies no target that one autoscaler scales, but a selector that fits all.
pub(crate) const MAX_ITEMS: usize = 10_000;

/// A list's items; none for an item of another shape. An absent list that is written as `null` is empty, as Go writes it.
#[derive(Debug)]
pub(super) struct Items<T>(pub(super) Vec<Option<T>>);

/// One item: untagged, so that it is read to its end before its shape is judged.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Item<T> {
    Sound(T),
    Unsound(IgnoredAny),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Items<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader(PhantomData))
    }
}

struct Reader<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Reader<T> {
    type Value = Items<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Items(Vec::new()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element::<Item<T>>()? {
            if items.len() == MAX_ITEMS {
                return Err(serde::de::Error::custom(format_args!("a list of more than {MAX_ITEMS} items")));
            }
            items.push(match item {
                Item::Sound(item) => Some(item),
                Item::Unsound(_) => None,
            });
        }
        Ok(Items(items))
    }
}

/// A Kubernetes quantity, which is a text, or a number where a server writes one.
#[derive(Debug, serde::Deserialize)]
#[serde(untagged)]
pub(super) enum Quantity {
    Text(String),
    Number(f64),
}

impl Quantity {
    /// In thousandths of its unit, rounded up; none where it is no quantity.
    pub(super) fn milli(&self) -> Option<i64> {
        match self {
            Self::Text(text) => quantity::milli(text).ok(),
            Self::Number(number) => quantity::from_number(*number),
        }
    }

    /// In its unit, rounded up to thousandths as the HPA does; none where it is no quantity.
    pub(super) fn value(&self) -> Option<f64> {
        self.milli().map(|milli| milli as f64 / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    struct Named {
        value: Quantity,
    }

    #[test]
    fn an_unsound_item_does_not_spoil_the_list() {
        let text = r#"[{"value": "1500m"}, 7, {}, {"value": {}}, null, {"value": 0.25, "more": [1]}, {"value": "x"}]"#;
        let Items(items) = serde_json::from_str::<Items<Named>>(text).unwrap();
        let values: Vec<_> = items.iter().map(|item| item.as_ref().and_then(|item| item.value.value())).collect();
        assert_eq!(values, [Some(1.5), None, None, None, None, Some(0.25), None]);
    }

    #[test]
    fn null_is_an_empty_list_and_anything_else_is_none() {
        assert!(serde_json::from_str::<Items<Named>>("null").unwrap().0.is_empty());
        for text in ["{}", "7", "\"a\""] {
            assert!(serde_json::from_str::<Items<Named>>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_list_that_is_too_long_is_refused() {
        let fits = format!("[{}7]", "7,".repeat(MAX_ITEMS - 1));
        assert_eq!(serde_json::from_str::<Items<Named>>(&fits).unwrap().0.len(), MAX_ITEMS);
        let long = format!("[{}7]", "7,".repeat(MAX_ITEMS));
        let refused = serde_json::from_str::<Items<Named>>(&long).unwrap_err().to_string();
        assert!(refused.starts_with("a list of more than 10000 items"), "{refused}");
    }
}
