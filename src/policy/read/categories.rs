//! Validates `[categories]`: several files may describe one, where they agree.

use std::collections::BTreeMap;

use super::source::WrittenCategory;
use crate::document::{Fault, Located, Place};
use crate::policy::model::{Category, Mask, Opens};

/// What is said of one category so far, with where.
#[derive(Default)]
struct Said {
    place: Option<Place>,
    special: Option<(bool, Place)>,
    mask: Option<(Mask, Place)>,
    default: Option<(Opens, Place)>,
}

/// The categories by name. Faults are noted.
pub(in crate::policy) fn categories(
    written: Vec<WrittenCategory>,
    faults: &mut Vec<Fault>,
) -> BTreeMap<String, Category> {
    let mut all: BTreeMap<String, Said> = BTreeMap::new();
    for category in written {
        let name = category.name;
        if name.value.contains(['.', '"', '*']) {
            faults.push(Fault::error(
                &name.place,
                format!("category `{}` holds a dot, a quote or a star: it would read like a column", name.value),
            ));
        }
        let mask = category.mask.and_then(|mask| match mask.value.parse::<Mask>() {
            Ok(parsed) => Some(Located { value: parsed, place: mask.place }),
            Err(message) => {
                faults.push(Fault::error(&mask.place, message));
                None
            }
        });
        let default = category.default.and_then(|default| match default.value.as_str() {
            "read" => Some(Located { value: Opens::Read, place: default.place }),
            "mask" => Some(Located { value: Opens::Mask, place: default.place }),
            other => {
                faults.push(Fault::error(
                    &default.place,
                    format!("`default` is `read` or `mask`, and not `{other}`: what no rule opens is closed anyway"),
                ));
                None
            }
        });
        let said = all.entry(name.value.clone()).or_default();
        said.place.get_or_insert(name.place);
        agreed(&name.value, "special", &mut said.special, category.special, faults);
        agreed(&name.value, "mask", &mut said.mask, mask, faults);
        agreed(&name.value, "default", &mut said.default, default, faults);
    }
    all.into_iter().map(|(name, said)| (name.clone(), category(&name, said, faults))).collect()
}

/// Takes what is said once more, if it is the same.
fn agreed<T: PartialEq>(
    name: &str,
    key: &str,
    before: &mut Option<(T, Place)>,
    written: Option<Located<T>>,
    faults: &mut Vec<Fault>,
) {
    let Some(written) = written else { return };
    match before {
        None => *before = Some((written.value, written.place)),
        Some((value, _)) if *value == written.value => {}
        Some((_, place)) => {
            let message = format!(
                "category `{name}` has another `{key}` at {place}: several files may describe it where they agree"
            );
            faults.push(Fault::error(&written.place, message));
        }
    }
}

fn category(name: &str, said: Said, faults: &mut Vec<Fault>) -> Category {
    let special = said.special.is_some_and(|(special, _)| special);
    if let Some((default, place)) = &said.default {
        if special {
            faults.push(Fault::error(
                place,
                format!("category `{name}` is special personal information (POPIA s26) and has a `default`: each rule that opens it names its ground"),
            ));
        }
        if *default == Opens::Mask && said.mask.is_none() {
            let message = format!("category `{name}` is masked by default and has no `mask` of its own");
            faults.push(Fault::error(place, message));
        }
    }
    Category {
        special,
        mask: said.mask.map(|(mask, _)| mask),
        default: said.default.map(|(default, _)| default),
        place: said.place,
    }
}
