//! What do identity and introspection answers tell?

use serde_json::Value;

use super::answer;
use crate::model::connector::Account;
use crate::outbound::Response;

/// Longest account id or label that is kept.
const ACCOUNT_LIMIT: usize = 256;

/// The account a JSON answer names: the first pair of pointers (id, label) that is whole, else the first id.
pub(super) fn account(response: &Response, names: &[(&str, &str)]) -> Option<Account> {
    let body = Value::Object(answer::read_object(&response.headers, &response.body)?);
    let at = |pointer: &str| body.pointer(pointer).and_then(text);
    let whole = names.iter().find_map(|(id, label)| Some(Account { id: at(id)?, label: at(label)? }));
    let with_id = || names.iter().find_map(|(id, _)| at(id)).map(|id| Account { label: id.clone(), id });
    whole.or_else(with_id)
}

/// Text or a whole number as text; anything else could make two accounts one.
fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) if number.is_i64() || number.is_u64() => number.to_string(),
        _ => return None,
    };
    (!text.is_empty() && text.len() <= ACCOUNT_LIMIT && !text.chars().any(char::is_control)).then_some(text)
}

/// What is left until `exp`: counted from the answer's `Date` and from `iat`, both the provider's own clock, and
/// the shorter of the two, for `iat` may be older than this token and a `Date` be some proxy's.
pub(super) fn remaining_life(response: &Response) -> Option<i64> {
    if !(200..300).contains(&response.status) {
        return None;
    }
    let fields = answer::read_object(&response.headers, &response.body)?;
    if fields.get("active") != Some(&Value::Bool(true)) {
        return None;
    }
    let number = |name: &str| {
        fields.get(name).and_then(|value| value.as_i64().or_else(|| value.as_str()?.parse().ok()))
    };
    let date = answer::date(&response.headers).map(time::OffsetDateTime::unix_timestamp);
    let left = [date, number("iat")]
        .into_iter()
        .flatten()
        .filter_map(|from| number("exp")?.checked_sub(from))
        .min()?;
    answer::seconds(Some(&Value::from(left)))
}
