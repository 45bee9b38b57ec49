//! Whom does a consent reach that somebody turned by SQL while it was under way? Nobody.

use super::world::{World, account, tokens};
use crate::model::principal::Membership;
use crate::outbound::scripted::Step;
use crate::signup::{Error, Visitor};
use crate::store::testing::databases;

const GRACE: &str = "(SELECT id FROM \"user\" WHERE display_name = 'grace')";

/// Who comes back in the end.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Who {
    Ada,
    AdaElsewhere,
    Grace,
}

/// What is turned, and whom that would serve.
fn turns() -> Vec<(String, Who)> {
    let grace = format!("user_id = {GRACE}, session_id = (SELECT id FROM session WHERE user_id = {GRACE})");
    let elsewhere =
        "session_id = (SELECT id FROM session WHERE id <> signup.session_id AND user_id = signup.user_id)";
    let mut turns = vec![(grace, Who::Grace), (elsewhere.to_owned(), Who::AdaElsewhere)];
    for own in [
        "app = 'globex'",
        "connector = 'twin', redirect_uri = replace(redirect_uri, 'shared', 'twin')",
        "flow = 'other'",
        "return_to = 'https://evil.example/'",
        "user_label = 'somebody else'",
        &format!("link_id = {GRACE}"),
    ] {
        turns.push((own.to_owned(), Who::Ada));
    }
    turns
}

struct Scene {
    world: World,
    ada: Visitor,
    elsewhere: Visitor,
    grace: Visitor,
}

impl Scene {
    /// Two connectors with credentials of the instance; two people of two apps.
    async fn each(script: Vec<Step>) -> Vec<Self> {
        let mut all = Vec::new();
        for db in databases().await {
            let world = World::new(db, script.clone()).await;
            world.app("globex").await;
            for id in ["shared", "twin"] {
                world.connector(&world.definition(id, serde_json::json!({}))).await;
                world.credentials(id, None).await;
            }
            let apps = [("acme", Membership::AppAdmin), ("globex", Membership::AppAdmin)];
            let (ada, grace) =
                (world.person("ada", None, &apps).await.0, world.person("grace", None, &apps).await.0);
            let elsewhere = world.browser(ada.principal.user().unwrap()).await.0;
            all.push(Self { world, ada, elsewhere, grace });
        }
        all
    }

    fn who(&self, who: Who) -> &Visitor {
        match who {
            Who::Ada => &self.ada,
            Who::AdaElsewhere => &self.elsewhere,
            Who::Grace => &self.grace,
        }
    }
}

#[tokio::test]
async fn before_the_browser_comes_back_no_code_is_sent() {
    for (sql, who) in turns() {
        for scene in Scene::each(vec![]).await {
            let world = &scene.world;
            let state = world.start(&scene.ada, "acme", "shared").await["state"].clone();
            world.db.sql(&format!("UPDATE signup SET {sql}")).await;
            let path = if sql.contains("twin") { "twin" } else { "shared" };
            let refused = world.back(scene.who(who), path, None, &state).await;
            assert!(matches!(refused, Err(Error::Changed)), "{sql} {}: {refused:?}", world.db.name);
            assert_eq!(world.provider.seen().len(), 0, "{sql}");
        }
    }
}

#[tokio::test]
async fn while_it_waits_for_a_yes_nobody_can_say_it() {
    for (sql, who) in turns() {
        for scene in Scene::each(vec![tokens("1"), account("u1")]).await {
            let world = &scene.world;
            // Instance credentials serve two apps, so that it is asked for.
            let id = world.asked(&scene.ada, "acme", "shared", None).await;
            world.db.sql(&format!("UPDATE signup SET {sql}")).await;
            let by = scene.who(who);
            let question = world.signup.question(by, id).await;
            assert!(matches!(question, Err(Error::Changed)), "{sql} {}: {question:?}", world.db.name);
            let confirmed = world.signup.confirm(by, id).await;
            assert!(matches!(confirmed, Err(Error::Changed)), "{sql} {}: {confirmed:?}", world.db.name);
            for app in ["acme", "globex"] {
                assert!(world.connections(&scene.ada, app).await.is_empty(), "{sql} {}", world.db.name);
            }
        }
    }
}
