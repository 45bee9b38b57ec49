//! How is a query written without growing? A request goes through several links before it is answered.

use url::form_urlencoded;

/// What forms encode and a query need not: all of RFC 3986 §2.3, and of its §2.2 what means nothing here and no browser
/// encodes again. A `%` of a value is `%25`, so that these stand for themselves.
const PLAIN: [(&str, &str); 4] = [("%7E", "~"), ("%21", "!"), ("%28", "("), ("%29", ")")];

/// These pairs as a query.
pub fn query<'p>(pairs: impl IntoIterator<Item = (&'p str, &'p str)>) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    PLAIN.iter().fold(query, |query, (encoded, plain)| query.replace(encoded, plain))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_need_not_be_encoded_is_not() {
        assert_eq!(query([("a", "~!()*-._"), ("b", "%7E '")]), "a=~!()*-._&b=%257E+%27");
    }

    proptest! {
        #[test]
        fn any_pair_is_read_as_it_was_written(name in any::<String>(), value in any::<String>()) {
            let text = query([(name.as_str(), value.as_str())]);
            let read: Vec<_> = form_urlencoded::parse(text.as_bytes()).into_owned().collect();
            prop_assert_eq!(read, vec![(name, value)]);
        }
    }
}
