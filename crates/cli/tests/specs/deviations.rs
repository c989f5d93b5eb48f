//! Where the real clouds are known to differ from their documents. Each entry names the section that says so; an entry that
//! no longer applies fails the test.

use std::cell::RefCell;
use std::collections::BTreeSet;

/// Words that all stand in a complaint, and why it is none.
type Deviation = (&'static [&'static str], &'static str);

/// In the emulator's answers.
const ANSWERS: &[Deviation] = &[
    (
        &["site GET", "emailAddress: null is not of type"],
        "the document's own words: \"Depending on the user's privacy settings, this may be returned as null\"",
    ),
    (
        &[
            "PATCH /users/{account_id}/manage/profile: 400",
            "more than one of the schemas listed in the 'oneOf'",
        ],
        "the alternatives of the document overlap: an object with key and context fits several of them",
    ),
];

/// Complaints without the known deviations.
pub(crate) struct Known {
    used: RefCell<BTreeSet<usize>>,
}

impl Known {
    pub(crate) fn new() -> Self {
        Self { used: RefCell::default() }
    }

    pub(crate) fn is(&self, complaint: &str) -> bool {
        let found = ANSWERS.iter().position(|(words, _)| words.iter().all(|word| complaint.contains(word)));
        found.is_some_and(|index| {
            self.used.borrow_mut().insert(index);
            true
        })
    }

    /// The entries that were never needed.
    pub(crate) fn idle(&self) -> Vec<&'static Deviation> {
        let used = self.used.borrow();
        ANSWERS
            .iter()
            .enumerate()
            .filter(|(index, _)| !used.contains(index))
            .map(|(_, entry)| entry)
            .collect()
    }
}
