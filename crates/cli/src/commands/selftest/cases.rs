//! The cases, one file a group.

mod archives;
mod colour;
mod hostile;
mod pictures;
mod sound;
mod video;

use super::case::Case;

/// The groups, and what is in each.
pub(super) const GROUPS: [(&str, &[Case]); 6] = [
    ("pictures", pictures::CASES),
    ("colour", colour::CASES),
    ("video", video::CASES),
    ("sound", sound::CASES),
    ("archives", archives::CASES),
    ("hostile", hostile::CASES),
];

/// All of them, in their order.
pub(super) fn all() -> impl Iterator<Item = &'static Case> {
    GROUPS.iter().flat_map(|(_, cases)| cases.iter())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use reelhook_domain::recipe::Recipe;
    use serde_json::Value;

    use super::*;

    #[test]
    fn every_case_is_in_its_group_has_a_name_of_its_own_and_asks_for_a_recipe() {
        let mut names = HashSet::new();
        for (group, cases) in GROUPS {
            for case in cases {
                assert_eq!(case.group, group, "{}", case.name);
                assert!(names.insert(case.name), "{} appears twice", case.name);
                let recipe: Value = serde_json::from_str(case.recipe).expect(case.name);
                assert!(Recipe::NAMES.contains(&recipe["recipe"].as_str().expect(case.name)), "{}", case.name);
            }
        }
    }
}
