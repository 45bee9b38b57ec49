use super::*;

fn load(file: &str, environment: &[(&str, &str)], flags: Vec<Flag>) -> Result<Config, Error> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("jeton.toml");
    std::fs::write(&path, file).unwrap();
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::load(Sources::flags(flags).with_environment(environment).with_file(Some(path)))
}

fn refusal(file: &str, environment: &[(&str, &str)]) -> String {
    let text = load(file, environment, Vec::new()).unwrap_err().to_string();
    // The file's directory is another one each time.
    let words = text.split(' ').map(|word| if word.contains("/jeton.toml") { "FILE)" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn nothing_set_gives_the_documented_defaults() {
    let config = load("", &[], Vec::new()).unwrap();
    assert_eq!(config.database.url, "sqlite:./jeton-data/jeton.db");
    assert_eq!(config.sqlite_file(), Some(Path::new("./jeton-data/jeton.db")));
    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.loopback_url().unwrap().as_str(), "http://127.0.0.1:8080");
    assert!(config.refresh.background);
    let issuer = &config.issuer;
    assert_eq!((issuer.algorithm, issuer.token_lifetime_s, issuer.rotation_days), ("ES256", 3600, 90));
    assert!(
        config.public_url.is_none() && !config.outbound.allow_loopback && config.trusted_proxies.is_empty()
    );
    assert!(matches!(&config.keys, Keys::File(path) if path.ends_with("keyring.toml")));
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let flag = Flag { key: "listen", name: "--listen", value: "127.0.0.1:3".into() };
    let file = "listen = '127.0.0.1:1'\nlog = 'warn'\n[database]\nmax_connections = 7\n";
    let environment = [
        ("JETON_LISTEN", "127.0.0.1:2"),
        ("JETON_LOG", "debug"),
        ("JETON_OUTBOUND__ALLOW_LOOPBACK", "true"),
        ("JETON_CONNECTORS__GITHUB_APP__BASE_URL", "https://ghe.example.com"),
    ];
    let config = load(file, &environment, vec![flag]).unwrap();
    assert_eq!(config.listen.port(), 3);
    assert_eq!(config.log.as_deref(), Some("debug"));
    assert_eq!(config.database.max_connections, 7);
    assert!(config.outbound.allow_loopback);
    let base = config.connectors.first().unwrap();
    assert_eq!(
        (base.id.as_str(), base.base_url.as_ref().unwrap().as_str()),
        ("github-app", "https://ghe.example.com/")
    );
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_name_and_its_place() {
    insta::assert_snapshot!(refusal("[outbound]\nallow_loopbak = true\n", &[]), @"configuration key `outbound.allow_loopbak` (set in FILE) is not known; did you mean `outbound.allow_loopback`?");
    insta::assert_snapshot!(refusal("", &[("JETON_PUBLIC_ULR", "x")]), @"configuration key `public_ulr` (set by JETON_PUBLIC_ULR) is not known; did you mean `JETON_PUBLIC_URL`?");
    insta::assert_snapshot!(refusal("", &[("JETON_REFRESH_BACKGROUND", "x")]), @"configuration key `refresh_background` (set by JETON_REFRESH_BACKGROUND) is not known; did you mean `JETON_REFRESH__BACKGROUND`?");
    insta::assert_snapshot!(refusal("max_connections = 3", &[]), @"configuration key `max_connections` (set in FILE) is not known; did you mean `database.max_connections`?");
    insta::assert_snapshot!(refusal("[zzz]\nqqqqqqqqqqqqqqqqqqqq = 1", &[]), @"configuration key `zzz.qqqqqqqqqqqqqqqqqqqq` (set in FILE) is not known; remove it");
    insta::assert_snapshot!(refusal("[connectors.github]\nbase = 1", &[]), @"configuration key `connectors.github.base` (set in FILE) is not known; did you mean `connectors.github.base_url`?");
}

#[test]
fn variables_of_the_client_and_of_the_tests_are_ignored() {
    let environment = [
        ("JETON_URL", "http://127.0.0.1:1"),
        ("JETON_CLIENT_ID", "c"),
        ("JETON_CLIENT_SECRET", "s"),
        ("JETON_CLIENT_SECRET_FILE", "f"),
        ("JETON_CREDENTIAL", "env:X"),
        ("JETON_TEST_POSTGRES_URL", "postgres://x"),
        ("PATH", "/bin"),
        ("JETON_LOG", ""),
    ];
    assert_eq!(load("", &environment, Vec::new()).unwrap().log, None);
}

#[test]
fn every_violation_is_told_at_once_and_no_secret_is_repeated() {
    let file = "
        database_url = 'mysql://root:canary@db/x'
        public_url = 'http://example.com'
        listen = '0.0.0.0:80'
        log_format = 'xml'
        [refresh]
        timeout_s = 50
        lease_s = 30
        [proxy]
        trusted = []
        [outbound]
        allow_networks = ['10.0.0.0/33']
        proxy = 'socks5://u:canary@proxy'
        [issuer]
        token_lifetime_s = 5
        rotation_days = 3651
        algorithm = 'HS256'
    ";
    let text = refusal(file, &[]);
    assert!(!text.contains("canary"), "{text}");
    insta::assert_snapshot!(text, @r"
    configuration key `refresh.lease_s` (set in FILE) must be at least 5 s longer than `refresh.timeout_s`: nothing is sent with less left
    configuration key `database_url` (set in FILE) must be sqlite:FILE or postgres://USER:PASSWORD@HOST/DATABASE
    configuration key `public_url` (set in FILE) must be https unless its host is loopback
    configuration key `log_format` (set in FILE) must be `text` or `json`
    configuration key `outbound.allow_networks` (set in FILE) holds an item that is wrong: `10.0.0.0/33` is no network like 10.0.0.0/8 or fd00::/8
    configuration key `outbound.proxy` (set in FILE) must be an http or https URL, such as http://proxy.example.com:3128
    configuration key `issuer.algorithm` (set in FILE) must be `ES256` or `RS256`
    configuration key `issuer.token_lifetime_s` (set in FILE) must be a whole number from 60 to 86400
    configuration key `issuer.rotation_days` (set in FILE) must be a whole number from 0 to 3650
    configuration key `listen` (set in FILE) opens 0.0.0.0:80 to other machines over plain http; listen on 127.0.0.1, or name the proxy that ends TLS in `proxy.trusted`
    ");
}

#[test]
fn a_place_for_credentials_is_more_than_the_name_of_a_store() {
    let places = |place: &str| format!("[secret_stores]\ndeliver_to = ['{place}']");
    for place in ["file:", "file:prod/", "aws-sm:eu-west-1/", "azure-kv:corp/", "vault:secret/"] {
        assert!(load(&places(place), &[], Vec::new()).is_ok(), "{place}");
    }
    for bare in ["aws-sm:", "azure-kv:", "vault:", "env:"] {
        let told = refusal(&places(bare), &[]);
        assert!(told.contains("`secret_stores.deliver_to`") && told.contains(&format!("`{bare}`")), "{told}");
    }
}

#[test]
fn a_secret_comes_from_its_file_and_a_later_layer_replaces_either_form() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("url");
    std::fs::write(&path, "postgres://u:p@localhost/jeton\n").unwrap();
    let path = path.to_str().unwrap();
    let config = load("", &[("JETON_DATABASE_URL_FILE", path)], Vec::new()).unwrap();
    assert_eq!(config.database.url, "postgres://u:p@localhost/jeton");
    let config =
        load("database_url = 'sqlite:x.db'", &[("JETON_DATABASE_URL_FILE", path)], Vec::new()).unwrap();
    assert_eq!(config.database.url, "postgres://u:p@localhost/jeton");
    let both = format!("database_url = 'sqlite:x.db'\ndatabase_url_file = '{path}'");
    insta::assert_snapshot!(refusal(&both, &[]), @"configuration key `database_url_file` (set in FILE) stands beside `database_url`; keep one of the two");
}

#[test]
fn what_a_later_release_brings_is_refused_when_serving_and_not_before() {
    let file = "
        [audit]
        retention_days = 30
        [fence]
        strict = false
    ";
    let config = load(file, &[], Vec::new()).unwrap();
    let text = config.refuse_unsupported().unwrap_err().to_string();
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.lines().all(|line| line.contains("is not supported by this release")), "{text}");
}

#[test]
fn an_upstream_provider_needs_an_issuer_and_a_client_and_claims_for_superadmins() {
    let file = "
        [login.oidc]
        issuer = 'https://sso.example.com/realms/x'
        client_id = 'jeton'
        client_secret = 'canary'
        apps_claim = 'groups'
        superadmin_values = ['admins of jeton']
    ";
    let config = load(file, &[], Vec::new()).unwrap();
    let upstream = config.upstream_login.as_ref().unwrap();
    assert_eq!(
        (upstream.issuer.as_str(), upstream.client_id.as_str()),
        ("https://sso.example.com/realms/x", "jeton")
    );
    assert_eq!((upstream.apps_claim.as_deref(), upstream.superadmin_values.len()), (Some("groups"), 1));
    assert!(config.refuse_unsupported().is_ok() && !format!("{config:?}").contains("canary"));
    assert!(load("", &[], Vec::new()).unwrap().upstream_login.is_none());
    let local = "[login.oidc]\nissuer = 'http://localhost:9000'\nclient_id = 'x'\n";
    assert!(load(&format!("outbound.allow_loopback = true\n{local}"), &[], Vec::new()).is_ok());
    insta::assert_snapshot!(refusal(local, &[]), @"configuration key `login.oidc.issuer` (set in FILE) must be an https URL without query, as the provider writes its issuer (http on loopback where `outbound.allow_loopback` is set)");
    insta::assert_snapshot!(refusal("[login.oidc]\nclient_secret = 'canary'", &[]), @"configuration key `login.oidc.client_secret` (set in FILE) needs `login.oidc.issuer`: the provider it is about");
    insta::assert_snapshot!(refusal("[login.oidc]\nissuer = 'https://a.example?x=1'\nclient_id = 'x'", &[]), @"configuration key `login.oidc.issuer` (set in FILE) must be an https URL without query, as the provider writes its issuer (http on loopback where `outbound.allow_loopback` is set)");
    insta::assert_snapshot!(refusal("[login.oidc]\nissuer = 'https://a.example'\nsuperadmin_values = ['x']", &[]), @r"
    configuration key `login.oidc.superadmin_values` (set in FILE) needs `login.oidc.apps_claim`: the claim they are values of
    configuration key `login.oidc.issuer` (set in FILE) needs `login.oidc.client_id`: who we are at the provider
    ");
}

#[test]
fn what_a_proxy_forwards_needs_an_audience_and_the_proxy() {
    let provider = "[login.oidc]\nissuer = 'https://a.example'\nclient_id = 'x'\n";
    let file = format!("proxy.trusted = ['10.0.0.0/8']\n{provider}forwarded_audience = 'jeton'");
    let forwarded = load(&file, &[], Vec::new()).unwrap().upstream_login.unwrap().forwarded.unwrap();
    assert_eq!(
        (forwarded.audience.as_str(), forwarded.client_id, forwarded.token_header),
        ("jeton", None, None)
    );
    insta::assert_snapshot!(refusal(&format!("{provider}forwarded_audience = 'jeton'"), &[]), @"configuration key `login.oidc.forwarded_audience` (set in FILE) needs `proxy.trusted`: the proxies whose headers are believed");
    insta::assert_snapshot!(refusal(&format!("{provider}forwarded_client_id = 'gateway'"), &[]), @"configuration key `login.oidc.forwarded_client_id` (set in FILE) needs `login.oidc.forwarded_audience`: whom the tokens are for");
    insta::assert_snapshot!(refusal(&format!("{file}\nforwarded_token_header = 'authorization'"), &[]), @"configuration key `login.oidc.forwarded_token_header` (set in FILE) must be the name of a header, other than `Authorization`");
    insta::assert_snapshot!(refusal(&format!("{file}\nforwarded_logout_url = '//evil.example'"), &[]), @"configuration key `login.oidc.forwarded_logout_url` (set in FILE) must be a path of this host that begins with `/`, or an https URL");
    insta::assert_snapshot!(refusal("login.oidc.forwarded_audience = 'jeton'", &[]), @r"
    configuration key `login.oidc.forwarded_audience` (set in FILE) needs `proxy.trusted`: the proxies whose headers are believed
    configuration key `login.oidc.forwarded_audience` (set in FILE) needs `login.oidc.issuer`: the provider it is about
    ");
}

#[test]
fn the_manual_of_sign_in_by_a_provider_is_a_configuration_also_in_the_environment() {
    let manual = include_str!("../../docs/identity-provider.md");
    let block = manual.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("oidc");
    std::fs::write(&secret, "canary\n").unwrap();
    let config =
        load(&block.replace("/run/secrets/oidc", secret.to_str().unwrap()), &[], Vec::new()).unwrap();
    let upstream = config.upstream_login.unwrap();
    assert_eq!(upstream.issuer, "https://sso.example.com/realms/staff");
    assert_eq!(upstream.client_secret.map(|secret| secret.len()), Some(6));
    let environment = [
        ("JETON_LOGIN__OIDC__ISSUER", "https://sso.example.com"),
        ("JETON_LOGIN__OIDC__CLIENT_ID", "jeton"),
        ("JETON_LOGIN__OIDC__APPS_CLAIM", "groups"),
        ("JETON_LOGIN__OIDC__SUPERADMIN_VALUES", "root, the boss"),
    ];
    let upstream = load("", &environment, Vec::new()).unwrap().upstream_login.unwrap();
    assert_eq!(upstream.superadmin_values, ["root", "the boss"]);
}

#[test]
fn tokens_are_refreshed_unasked_unless_that_is_turned_off() {
    let config = load("[refresh]\nbackground = false", &[], Vec::new()).unwrap();
    assert!(!config.refresh.background);
    assert!(config.refuse_unsupported().is_ok());
}

#[test]
fn tokens_may_be_signed_with_rsa_and_keys_left_alone() {
    let config = load("[issuer]\nalgorithm = 'RS256'\nrotation_days = 0", &[], Vec::new()).unwrap();
    assert_eq!((config.issuer.algorithm, config.issuer.rotation_days), ("RS256", 0));
    assert!(config.refuse_unsupported().is_ok());
}

#[test]
fn a_file_that_is_no_toml_is_refused_without_repeating_the_line() {
    let text = refusal("[keys]\nkeyring = \"canary", &[]);
    assert!(text.contains("line 2") && !text.contains("canary"), "{text}");
}

#[test]
fn a_database_elsewhere_is_verified_unless_the_address_says_otherwise() {
    let url = |text: &str| load("", &[("JETON_DATABASE_URL", text)], Vec::new()).unwrap().database.url;
    for elsewhere in ["postgres://u:p%40@db.example.com/jeton", "postgresql://u@10.0.0.5:5433/jeton"] {
        assert_eq!(url(elsewhere), format!("{elsewhere}?sslmode=verify-full"));
    }
    let ca = "postgres://u@db.example.com/jeton?sslrootcert=/ca.pem";
    assert_eq!(url(ca), format!("{ca}&sslmode=verify-full"));
    let named = "postgres://u@localhost/jeton?host=db.example.com";
    assert_eq!(url(named), format!("{named}&sslmode=verify-full"), "the parameter wins");
    for as_it_is in [
        "postgres://u:p@db.example.com/jeton?sslmode=disable",
        "postgres://u:p@db.example.com/jeton?ssl-mode=require",
        "postgres://u:p@localhost:5432/jeton",
        "postgres://u:p@127.0.0.2/jeton",
        "postgres://u:p@[::1]:5432/jeton",
        "postgres://u@%2Frun%2Fpostgresql/jeton",
        "postgres://u@db.example.com/jeton?host=/run/postgresql",
        "postgres://u@db.example.com/jeton?hostaddr=127.0.0.1",
    ] {
        assert_eq!(url(as_it_is), as_it_is);
    }
}
