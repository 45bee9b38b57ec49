//! What does a person see? The pages: consent, install, front page, refusal. No script, one style sheet.

use actix_web::{
    HttpResponse,
    http::{StatusCode, header},
};
use askama::Template;

/// The style sheet, served at `/_sandbox/style.css`.
pub(super) const STYLE: &str = r"
:root { color-scheme: light dark; --line: #8a8f98; --accent: #0b57d0; --on-accent: #fff; --soft: #f3f5f8; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --accent: #8ab4f8; --on-accent: #10233f; --soft: #22262c; --bad: #f2b8b5; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 3rem; max-width: 30rem; font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.35rem; line-height: 1.25; margin: .25rem 0 1rem; }
h2 { font-size: 1.05rem; margin: 1.5rem 0 .25rem; }
.where { margin: 0; font-size: .9rem; opacity: .8; }
ul { padding-left: 1.2rem; }
code { font-size: .95em; background: var(--soft); padding: .1em .3em; border-radius: .25em; }
label { display: block; margin: 1rem 0 .25rem; font-weight: 600; }
input { width: 100%; min-height: 2.75rem; padding: .5rem .75rem; font: inherit; border: 1px solid var(--line); border-radius: .5rem; }
.hint { margin: .25rem 0 0; font-size: .9rem; opacity: .8; }
.bad { color: var(--bad); font-weight: 600; }
.choice { display: flex; flex-wrap: wrap; gap: .75rem; margin-top: 1.5rem; }
button { flex: 1 1 8rem; min-height: 2.75rem; padding: .5rem 1rem; font: inherit; font-weight: 600; border: 1px solid var(--accent); border-radius: .5rem; background: transparent; color: var(--accent); cursor: pointer; }
button.main { background: var(--accent); color: var(--on-accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
";

/// Sign-in and consent in one form.
#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Allow {{ client_id }}? - sandbox provider</title><link rel="stylesheet" href="{{ base }}/_sandbox/style.css"></head>
<body><main>
<p class="where">Sandbox provider, profile {{ profile }}</p>
<h1><code>{{ client_id }}</code> asks for access to your account</h1>
{% if scopes.is_empty() %}<p>It asks for no particular scope.</p>{% else %}<p>It asks for:</p>
<ul>{% for scope in scopes %}<li><code>{{ scope }}</code></li>{% endfor %}</ul>{% endif %}
<p>Afterwards you go back to <code>{{ back_to }}</code>.</p>
<form method="post" action="{{ action }}">
{% for (name, value) in hidden %}<input type="hidden" name="{{ name }}" value="{{ value }}">
{% endfor %}<label for="user">Account</label>
<input id="user" name="user" value="{{ user }}" list="users" autocomplete="off" spellcheck="false" maxlength="64" aria-describedby="user-hint">
<datalist id="users">{% for name in users %}<option value="{{ name }}"></option>{% endfor %}</datalist>
<p class="hint{% if bad_user %} bad{% endif %}" id="user-hint"{% if bad_user %} role="alert"{% endif %}>Any name of letters, digits and . _ - @ will do; nobody has a password here.</p>
<div class="choice"><button class="main" name="decision" value="approve">Approve</button><button name="decision" value="deny">Deny</button></div>
</form></main></body></html>
"#
)]
pub(super) struct Consent<'a> {
    pub(super) base: &'a str,
    pub(super) client_id: &'a str,
    pub(super) profile: &'a str,
    pub(super) scopes: &'a [String],
    pub(super) back_to: &'a str,
    pub(super) action: &'a str,
    pub(super) hidden: Vec<(&'static str, &'a str)>,
    pub(super) user: &'a str,
    pub(super) users: &'a [String],
    pub(super) bad_user: bool,
}

/// The page of an app in the provider's directory, from which an installation starts.
#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Install {{ client_id }} - sandbox provider</title><link rel="stylesheet" href="{{ base }}/_sandbox/style.css"></head>
<body><main>
<p class="where">Sandbox provider, profile {{ profile }}</p>
<h1>Install <code>{{ client_id }}</code></h1>
<p>The installation goes on at the app's own site.</p>
<form method="post">
<label for="install_uri">Install URI</label>
<input id="install_uri" name="install_uri" value="{{ install_uri }}" inputmode="url" autocomplete="off"{% if fixed %} readonly{% endif %}>
<div class="choice"><button class="main">Install</button></div>
</form></main></body></html>
"#
)]
pub(super) struct Install<'a> {
    pub(super) base: &'a str,
    pub(super) client_id: &'a str,
    pub(super) profile: &'a str,
    pub(super) install_uri: &'a str,
    pub(super) fixed: bool,
}

/// What is here, for whoever opens the address.
#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sandbox provider</title><link rel="stylesheet" href="{{ base }}/_sandbox/style.css"></head>
<body><main>
<h1>Sandbox provider</h1>
<p>An OAuth 2.0 and OpenID Connect provider to try connectors on. It keeps everything in memory.</p>
<h2>Clients</h2>
<ul>{% for (id, profile) in clients %}<li><code>{{ id }}</code>, profile {{ profile }} (<a href="{{ base }}/integrations/{{ id }}/install">install page</a>)</li>{% endfor %}</ul>
<h2>For programs</h2>
<ul><li><a href="{{ base }}/.well-known/openid-configuration">metadata</a></li>
<li><a href="{{ base }}/_sandbox/ledger">ledger</a>: every spend of every refresh token</li>
<li><a href="{{ base }}/_sandbox/faults">faults</a>: change them with PUT</li></ul>
</main></body></html>
"#
)]
pub(super) struct Front<'a> {
    pub(super) base: &'a str,
    pub(super) clients: Vec<(&'a str, &'a str)>,
}

/// A request that cannot be sent back to anybody.
#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Refused - sandbox provider</title><link rel="stylesheet" href="{{ base }}/_sandbox/style.css"></head>
<body><main><h1>This request was refused</h1><p>{{ why }}.</p></main></body></html>
"#
)]
pub(super) struct Refused<'a> {
    pub(super) base: &'a str,
    pub(super) why: &'a str,
}

/// A page under the headers every page has.
pub(super) fn show(status: StatusCode, page: &impl Template) -> HttpResponse {
    let Ok(html) = page.render() else { return HttpResponse::InternalServerError().finish() };
    HttpResponse::build(status)
        .content_type("text/html; charset=utf-8")
        // No `form-action`: Chromium would apply it to the redirect back to the client.
        .insert_header((
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'",
        ))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(html)
}
