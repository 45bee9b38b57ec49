//! Administration: what an unconfined superadmin does to apps, connectors, credentials, members and connections.
//!
//! Every act takes the permission as its first argument and leaves its audit record in the transaction of the
//! change, so that neither is there without the other.

pub mod apps;
pub mod clients;
pub mod connections;
pub mod connectors;
pub mod credentials;
pub mod keys;
pub mod resources;

/// Which part of a collection is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Key of the last item of the part before.
    pub after: Option<String>,
    /// At most so many items.
    pub limit: u32,
}

/// A part of a collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<T> {
    /// In the order of their keys.
    pub items: Vec<T>,
    /// Where the next part begins; none: this is the end.
    pub next: Option<String>,
}

impl Page {
    /// How many rows to ask the store for: one more than wanted tells whether more follow.
    pub fn rows(&self) -> u64 {
        u64::from(self.limit).saturating_add(1)
    }

    fn length(&self) -> usize {
        usize::try_from(self.limit).unwrap_or(usize::MAX)
    }

    /// Cuts rows that were read with [`Page::rows`].
    pub fn cut<T>(&self, mut rows: Vec<T>, key: impl Fn(&T) -> String) -> Part<T> {
        let limit = self.length();
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(key);
        Part { items: rows, next }
    }

    /// Cuts a list that is in memory as a whole, ordered by its key.
    pub fn slice<T>(&self, all: impl IntoIterator<Item = T>, key: impl Fn(&T) -> String) -> Part<T> {
        let later = |item: &T| self.after.as_ref().is_none_or(|after| key(item) > *after);
        let rows = all.into_iter().filter(later).take(self.length().saturating_add(1)).collect();
        self.cut(rows, key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_follow_each_other_without_gap_or_overlap() {
        let all = ["a", "b", "c", "d"];
        let first = Page { after: None, limit: 2 }.slice(all, |item| (*item).to_owned());
        assert_eq!(first, Part { items: vec!["a", "b"], next: Some("b".into()) });
        let rest = Page { after: first.next, limit: 2 }.slice(all, |item| (*item).to_owned());
        assert_eq!(rest, Part { items: vec!["c", "d"], next: None });
    }
}
