//! What does each code mean, what does the caller do, and what does whoever is woken by it?
//!
//! A new code does not compile without its entry. Backticks mark code.

use crate::http::problem::{Act, Code};

/// What the page of a code says.
pub(super) struct Advice {
    /// What has happened.
    pub(super) cause: &'static str,
    /// What the program that got it does, or its author.
    pub(super) remedy: &'static str,
    /// What the operator does who is woken by it.
    pub(super) night: &'static str,
}

/// What an action asks for.
pub(in crate::http) fn meaning(act: Act) -> &'static str {
    match act {
        Act::Retry => {
            "Send the same call again, after `Retry-After` seconds where the answer has that header."
        }
        Act::Reauthorize => {
            "A person opens `signup_url` and connects the account. The same call fails until then."
        }
        Act::FixConfiguration => "An operator mends what the code names. The same call fails until then.",
        Act::RequestAccess => {
            "Get a new access token. Where that does not help, a superadmin of the broker gives the right."
        }
        Act::ChangeRequest => "The call itself is wrong: send another one.",
    }
}

macro_rules! advice {
    ($($variant:ident $cause:literal $remedy:literal $night:literal)*) => {
        /// The advice for a code.
        pub(super) fn advice(code: Code) -> Advice {
            match code {
                $(Code::$variant => Advice { cause: $cause, remedy: $remedy, night: $night },)*
            }
        }
    };
}

advice! {
    InvalidRequest
        "A parameter or field is missing, unknown, repeated or out of range. `errors[]` points at each fault: a JSON pointer into the body, or the name of a parameter. Nothing was changed."
        "Correct what `errors[]` names and send the request again. The API reference has every field with its bounds."
        "Nothing is broken here. Where it began with a release of the caller, take that release back; its author mends it by day."
    Unauthenticated
        "The request carries no access token. Tokens are read from the `Authorization` header alone, never from a query or body. Where a person signs in: the address or password is wrong."
        "A token is had at `/o/token/` with the client's id and secret, and send it as `Authorization: Bearer`."
        "When one job gets it, look at how that job is given its id and secret. When all get it, a proxy drops the `Authorization` header: compare a call to the broker itself with one through the proxy."
    InvalidToken
        "The token is malformed, expired, signed by somebody else or meant for another audience, or the secret it was got with has been deleted."
        "Keep a token no longer than its `expires_in`, and fetch another one when a call answers this."
        "When all callers get it at once: run `jeton doctor`, which compares the clocks and tries the signing key, and compare the public URL with the one that callers use: it is the issuer of every token."
    ClientDisabled
        "The client that this token was issued to has been disabled or deleted."
        "Another token of the same client is refused too: ask a superadmin of the broker."
        "Somebody did this on purpose. `jeton client show CLIENT_ID` tells whether it is disabled; `jeton client update CLIENT_ID --enable` lets it in again. Find out first why it was shut out."
    Forbidden
        "The identity is valid, but its role, its scopes or the locations it is confined to do not cover this request. That is decided before anything is looked up, so the answer does not tell whether the target exists."
        "Compare the call with the client's rights: the role `superadmin`, the scope that the API reference names, and an `allow` entry for the app and connector. A confined client may call hand-out and status of its locations, and nothing else."
        "`jeton client show CLIENT_ID` has the rights as they are now; a change binds within 5 s. Give the one right that is missing, not all: `jeton client update`."
    AppDisabled
        "A superadmin disabled this app. No token is handed out and nothing is connected until it is enabled again. Connections stay as they are."
        "Stop the jobs of this app until somebody enables it again."
        "`jeton app update APP --state active` enables it. It was disabled on purpose: find out why first."
    AppNotFound
        "No app has this id. An id is never used again once its app was deleted."
        "Check the first segment of the path, or the `app_id` that was sent."
        "`jeton app list` shows all apps. One that was deleted does not come back: its key is destroyed. Make a new one and connect its accounts again."
    ConnectorNotFound
        "No connector has this id or alias."
        "Check the second segment of the path. `GET /admin/v1/connectors` lists ids and aliases."
        "`jeton connector list` shows all of them. A custom definition that is missing is stored again with `jeton connector create`; the catalog's come with the program, so look at which release runs."
    NotFound
        "There is no such route, or no such item under it."
        "Check the address against the API reference. Of what was deleted or has ended (links, sessions, kept generations), make or look up another one."
        "When every call gets it, a proxy sends requests to the wrong place or cuts the path: `GET /healthz` under the public URL must answer 200."
    ConnectionNotFound
        "Nobody has connected an account for this app, connector and flow, or the connection was deleted."
        "Give `signup_url` to a member of the app: it may be used by any of them after sign-in, and holds no secret. Where a `flow` was named, check its spelling."
        "`jeton connection list --app APP` shows what is connected, under which flows. Nobody but a person with access to the account can connect it: send the link, and leave the job waiting."
    MethodNotAllowed
        "The route exists but takes other methods; the header `Allow` lists them."
        "Use one of the methods in `Allow`."
        "Nothing is broken here. A proxy that turns redirected `POST`s into `GET`s is one way to get this."
    TooLarge
        "A body may have 64 KiB, a URL 8 KiB, the headers together 16 KiB."
        "Send less. Lists are read in parts, with `limit` and `cursor`."
        "When all callers get it, look at what the proxy adds: cookies and forwarded headers count."
    UnsupportedMediaType
        "The body has another content type than the route takes, or none."
        "Send `Content-Type: application/json`; under `/o/` and on forms `application/x-www-form-urlencoded`."
        "Nothing is broken here; the caller's author mends it by day."
    ReauthorizationRequired
        "The provider no longer accepts this grant, and it is not tried again. `reason` says why: `revoked` (taken back at the provider), `expired` (its life has ended), `lost_rotation` (an answer with the next refresh token was lost on the way), `rejected` (the API refuses its tokens) or `account_changed` (its tokens are of another account)."
        "Show `signup_url` to a member of the app: it holds no secret. `account` and `connected_by` say which account it was, and who connected it."
        "`jeton connection list --needs-attention` lists all that wait, with their links. One connection is somebody's consent: send the link, and sleep. Many of one connector at once are an event at the provider or a change of our client there: look at its console. Many with `lost_rotation` come after a crash or a fail-over that lost commits."
    AmbiguousConnection
        "The app has several connections of this connector, and none of them is named `default`."
        "Name one of `flows` with the parameter `flow`."
        "Somebody connected a second account, and jobs that name no flow no longer know which is meant. `jeton connection list --app APP` shows both. Let the job name its flow; deleting a connection revokes it at the provider."
    AlreadyExists
        "An item with this name exists or existed, a limit of two live secrets is reached, or a connection is there and the import does not say `replace`. `detail` says which."
        "Choose another name, change the existing item, or say `replace`."
        "Nothing is broken here: the item of before is as it was."
    AlreadySpent
        "This refresh token was sent to the provider before, and is not used again: at a provider that rotates, that would end the grant."
        "Import a newer token set, or connect the account again. Of kept generations, restore the one after it."
        "Leave the connection that works as it is. `jeton connection generations APP CONNECTOR` shows which sets can be restored."
    DuplicateGrant
        "Another connection holds this refresh token. Two owners would spend it twice, and lose it."
        "Delete the other connection first, or connect the account separately for this one."
        "Nothing was stored, and the other connection works. Do not delete it in a hurry: that revokes the grant at the provider."
    PreconditionFailed
        "`If-Match` names an older version: somebody changed the item meanwhile. Nothing was changed by this call."
        "Read the item again, look at what has changed, and repeat with the new `ETag`."
        "Two programs or people administer the same thing. The audit trail has both changes."
    TtlUnsatisfiable
        "`min_ttl` is more than this provider's tokens give; `max_ttl` is the most. It was decided without calling the provider."
        "Ask for at most `max_ttl` seconds, and fetch a token again within a longer job."
        "When it began for jobs that worked before, the provider shortened the life of its tokens, or the connector's definition was changed: `jeton connector show ID`."
    CredentialsMissing
        "Neither the instance nor the app has a client id and secret at this provider."
        "Ask an admin to store them."
        "`jeton credentials set CONNECTOR`, with `--app APP` for an app of its own, stores them again; the accounts need no new consent when the client id is the one of before. A definition that moved to another origin removes them on purpose."
    RateLimited
        "Too many attempts of this kind: failed sign-ins or client secrets, or consents under way. It does not mean the provider's limits."
        "A right secret or password is not held back by the failures of others."
        "A job with an old secret is the usual cause: the log names the client. Attempts on many names from one network are an attack; they are held back, and block nobody else."
    ProviderMisconfigured
        "The provider refuses our client: its id, secret or redirect URI is wrong there. `provider_error` is its code (`origin_changed` is ours: the connector's definition names a new address, and waits to be confirmed). No grant is lost by it, and tokens that live are still handed out."
        "Ask an admin to correct the credentials of this connector."
        "Every connection of these credentials is affected. Look at the client in the provider's console: was its secret changed, or has it expired? `jeton credentials set CONNECTOR` stores the new one; then refreshes go on by themselves. `jeton connection list --state misconfigured` shows who waits. Where a credential was delivered, the secret store is meant: `detail` names it and what to do."
    ProviderUnavailable
        "The provider is down, limits the rate or gave no readable answer, and there is no token that meets the call."
        "Where `current_expires_in` is set, the same call without `min_ttl` gets a token of so many seconds."
        "Look at the provider's status page; tokens that live are served meanwhile, and all goes on by itself. When all providers fail, it is our way out: `jeton doctor` tries each one. Do not restart anything for it. Where a credential was delivered, the secret store is meant: `detail` names it and what to do."
    RefreshInProgress
        "Another caller or replica is refreshing this token, or what became of the last attempt is not known yet; `detail` then says until when. A refresh token is not sent a second time blindly."
        "A larger `wait` waits within the call."
        "It ends by itself, within a minute or so. Where it stays for one connection, look in the log for its app and connector: a replica that died with the answer in its spool must be started once more on its disk."
    StorageUnavailable
        "The broker's database is not reachable, or takes no writes. Or the spool cannot be written: `detail` says so. Nothing was lost."
        "Repeat with growing pauses."
        "Run `jeton doctor` on the server's machine: it names what fails and what to do. Bring back PostgreSQL, or free the disk; the broker goes on by itself within 10 s and needs no restart. Keep the disk of the spool: answers of providers may wait on it."
    AuditUnavailable
        "No token is handed out without its audit record, and that can be written neither to the database nor to the spool."
        "Repeat with growing pauses: a caller can do no more."
        "The database does not take records, and the spool is full or not writable. Run `jeton doctor`, free the disk of `{data_dir}/spool` or bring back the database. Delete nothing in the spool: it holds what the database must still get."
    Overloaded
        "A queue of this replica is full, or it was told to end and takes on nothing new."
        "Ask with fewer calls at once."
        "During a restart it passes by itself. Otherwise look at `jeton_audit_lag_seconds` and `jeton_database_connections`: a slow database is the usual cause. Callers that ask without pause are another: `jeton_http_requests_total` has the routes."
    SecretUnreadable
        "A ciphertext does not open in its place, or a row that says where secrets go was not written by the broker: it was moved or changed, or its key is gone. It is not used. The audit trail has the event."
        "Give `detail` and `trace_id` to the operators of the broker."
        "Do what `detail` says. Without a hint there: for one row, somebody wrote to the database by hand: take that back, or store the item or connect the account again. For all rows, the keyring is not the one of this database: `jeton doctor`, then bring back the right `keyring.toml` from its backup. Find out who can write to the database."
    Internal
        "The broker failed in a way that it does not explain to callers."
        "Where it fails again, give `trace_id` to the operators of the broker."
        "The log has the cause on the lines with this `trace_id`. One request alone is a defect to report with those lines. When many fail, run `jeton doctor`, and take the last release back if they began with it."
}
