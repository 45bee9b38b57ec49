//! Is a secret store behind a private CA reached, by the variable that its maker has for it or by the system's, and told
//! where that variable leads nowhere?

use serde_json::Value;

use super::post::Post;
use super::servers::{Azure, Bao, application};
use super::{command, stdout};
use crate::support::app::Home;
use crate::support::program::{Serving, exit_code, run, stderr};

#[tokio::test(flavor = "multi_thread")]
async fn an_openbao_with_a_ca_of_its_own_is_believed_by_that_ca() {
    let Some(bao) = Bao::start_with_a_ca_of_its_own() else { return };
    let (url, ca) = (bao.url.as_str(), bao.ca());
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().display().to_string();
    let place = "vault:secret/";
    let root = [("VAULT_ADDR", url), ("VAULT_TOKEN", Bao::ROOT)];
    let trusted = [&root[..], &[("VAULT_CACERT", ca.as_str())]].concat();
    let post = Post::at(place, &trusted, &trusted).await;
    // The broker's own delivery, and a service that reads it.
    post.says(&["client", "add-service", "pipeline", "--deliver-to", place], 0).await;
    post.service_token(place).await;
    assert!(post.is_let_in(&post.held("vault:secret/prod/pipeline#credential").await).await);

    let line = ["service-token", "pipeline", "--from", place, "--stack", "prod", "--renew"];
    let told = async |more: &[(&str, &str)], code: i32| {
        let refused = command(&state, &line, &[&root[..], more].concat()).await;
        let said = stderr(&refused);
        assert_eq!((exit_code(&refused), said.trim_end().lines().count()), (code, 1), "{said}");
        assert!(said.contains("`vault:secret/prod/pipeline#credential`: "), "{said}");
        said
    };
    let said = told(&[], 75).await;
    let unknown = format!(
        "no answer from {url} (invalid peer certificate: UnknownIssuer): check the network, BAO_CACERT or VAULT_CACERT, \
         which names a PEM file of its CA, then try again"
    );
    assert!(said.contains(&unknown), "{said}");
    let (missing, empty) = (format!("{state}/missing.pem"), format!("{state}/empty.pem"));
    std::fs::write(&empty, "no certificate\n").unwrap();
    let garbage = format!("{state}/garbage.pem");
    std::fs::write(&garbage, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    for (name, path, what) in [
        ("VAULT_CACERT", &missing, format!("cannot read {missing}: No such file or directory")),
        ("BAO_CACERT", &state, format!("cannot read {state}: Is a directory")),
        ("VAULT_CACERT", &empty, format!("{empty} holds no certificate that can be used")),
        ("BAO_CACERT", &garbage, format!("{garbage} holds no certificate that can be used")),
    ] {
        let said = told(&[(name, path.as_str())], 78).await;
        assert!(said.contains(&format!("#credential`: {name}: {what}")), "{said}");
    }
    // OpenBao's own name goes before, as with the others; and the file alone counts, not the system's CAs.
    told(&[("VAULT_CACERT", ca.as_str()), ("BAO_CACERT", missing.as_str())], 78).await;
    let Some(azure) = Azure::start() else { return };
    told(&[("VAULT_CACERT", azure.certificate.as_str()), ("SSL_CERT_FILE", ca.as_str())], 75).await;
    stdout(&command(&state, &line, &[&root[..], &[("BAO_CACERT", ca.as_str())]].concat()).await);
    stdout(&command(&state, &line, &[&root[..], &[("SSL_CERT_FILE", ca.as_str())]].concat()).await);
    post.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_store_with_a_private_ca_is_believed_by_ssl_cert_file() {
    let Some(azure) = Azure::start() else { return };
    let (home, place) = (Home::sqlite(), "azure-kv:corp-vault/");
    let made: Value = serde_json::from_slice(&run(&home, "init", &["--json"]).stdout).unwrap();
    let text = |key: &str| made[key].as_str().unwrap();
    let store = application(&azure.secure, Azure::SECRET);
    let trusted = [&store[..], &[("SSL_CERT_FILE", azure.certificate.as_str())]].concat();
    let own = [("JETON_SECRET_STORES__DELIVER_TO", place), ("JETON_INSTANCE__STACK", "prod")];
    let serving = Serving::start_with(&home, &[&own[..], &trusted].concat());
    let url = serving.url.as_str();
    let admin = [
        ("JETON_URL", url),
        ("JETON_CLIENT_ID", text("client_id")),
        ("JETON_CLIENT_SECRET", text("client_secret")),
    ];
    let add = ["client", "add-service", "pipeline", "--deliver-to", place];
    stdout(&command("/nowhere", &add, &admin).await);

    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().display().to_string();
    let line = ["service-token", "pipeline", "--from", place, "--stack", "prod", "--renew"];
    let refused = command(&state, &line, &store).await;
    let told = "(invalid peer certificate: UnknownIssuer): check the network, SSL_CERT_FILE, which names a PEM file of CAs";
    assert!(exit_code(&refused) == 75 && stderr(&refused).contains(told), "{}", stderr(&refused));
    stdout(&command(&state, &line, &trusted).await);
}
