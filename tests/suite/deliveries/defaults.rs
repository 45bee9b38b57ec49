//! Is a client the same, whether the command line makes it or a request?

use reqwest::Method;
use serde_json::{Value, json};

use super::{command, house, stdout};
use crate::support::app::Home;

/// All that does not say which one it is.
fn alike(client: &Value) -> Value {
    let mut client = client.clone();
    let fields = client.as_object_mut().unwrap();
    fields.retain(|name, _| {
        !["client_id", "client_secret", "secret_id", "identifier", "created_at"].contains(&&**name)
    });
    if let Some(delivery) = fields.get_mut("delivery") {
        delivery.as_object_mut().unwrap().retain(|name, _| ["form", "state", "version"].contains(&&**name));
    }
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_says_nothing_more_makes_the_client_that_a_request_makes() {
    for home in Home::each().await {
        let (house, folder) = house(home).await;
        let environment = [
            ("JETON_URL", house.broker.url.trim_end_matches('/')),
            ("JETON_CLIENT_ID", &house.broker.superadmin.0),
            ("JETON_CLIENT_SECRET", &house.broker.superadmin.1),
        ];
        let superadmin = json!({"kind": "programmatic", "role": "superadmin", "allow": ["*/*"]});
        let confined = ["--role", "superadmin", "--allow", "*/*"];
        for (number, (line, asked)) in [
            (vec!["add-programmatic"], json!({"kind": "programmatic"})),
            (vec!["create", "--kind", "programmatic"], json!({"kind": "programmatic"})),
            ([&["add-programmatic"][..], &confined].concat(), superadmin.clone()),
            ([&["create", "--kind", "programmatic"][..], &confined].concat(), superadmin),
            (vec!["add-service", "--deliver-to", "file:"], json!({"kind": "service", "deliver_to": "file:"})),
            (vec!["create"], json!({"kind": "service"})),
            (vec!["create", "--kind", "provider"], json!({"kind": "provider"})),
        ]
        .into_iter()
        .enumerate()
        {
            let name = format!("told-{number}");
            let whole = [&["client"][..], &line, &[&name, "--json"]].concat();
            let told = stdout(&command(&folder, &whole, &environment).await);
            let told: Value = serde_json::from_str(&told).unwrap();
            let mut body = asked.clone();
            body["identifier"] = json!(format!("asked-{number}"));
            let made = house.write(Method::POST, "/clients", &body).await;
            assert_eq!(alike(&told), alike(&made), "{line:?}");
            assert_eq!(told["client_secret"].is_null(), made["client_secret"].is_null(), "{line:?}");
        }
        house.stop().await;
    }
}
