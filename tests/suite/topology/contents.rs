//! Do docker-compose.yml and docker/nginx.conf say what a safe installation needs?

use std::collections::BTreeSet;
use std::time::Duration;

use jeton::http::server::LONGEST_STOP;

use super::compose::{Compose, default_of};
use super::stage::NGINX;

#[test]
fn a_replica_has_more_time_to_end_than_ending_takes() {
    let compose = Compose::read();
    assert_eq!(compose.replicas(), ["one", "two"]);
    for name in compose.replicas() {
        let grace = compose.services[name].grace();
        assert!(grace >= LONGEST_STOP + Duration::from_secs(10), "{name}: {grace:?}");
        assert!(compose.services["proxy"].grace() >= grace);
    }
}

#[test]
fn a_replica_shares_the_keyring_read_only_and_has_its_spool_for_itself() {
    let compose = Compose::read();
    let mut data = BTreeSet::new();
    for name in compose.replicas() {
        let service = &compose.services[name];
        for mount in service.mounts() {
            assert!(compose.volumes.contains_key(mount.source), "{name}: {} is kept", mount.source);
            match mount.target {
                "/var/lib/jeton" => {
                    assert!(!mount.read_only && data.insert(mount.source.to_owned()), "{name}")
                }
                "/var/lib/jeton-keys" => assert!(mount.read_only, "{name}"),
                other => panic!("{name} has {other} too"),
            }
        }
        let test = &service.healthcheck.as_ref().unwrap().test;
        assert_eq!(test, &["CMD", "jeton", "ready"]);
        let after = &service.depends_on["migrate"].condition;
        assert_eq!(after, "service_completed_successfully");
    }
    assert_eq!(data.len(), 2, "one each");
}

#[test]
fn images_are_pinned_and_containers_have_little_to_give_away() {
    let compose = Compose::read();
    for (name, service) in &compose.services {
        let (_, tag) = service.image.split_once(':').unwrap_or_else(|| panic!("{name} has no tag"));
        assert!(tag.starts_with(|first: char| first.is_ascii_digit()), "{name}: {tag}");
        assert!(service.read_only, "{name} has a root file system that is read only");
        assert_eq!(service.ulimits["core"], 0, "{name} leaves no core dump");
        // PostgreSQL's image changes to its own user as it starts.
        if name != "postgres" {
            assert_eq!(service.cap_drop, ["ALL"], "{name}");
            assert_eq!(service.security_opt, ["no-new-privileges:true"], "{name}");
        }
        let public = service.ports.iter().any(|port| !port.starts_with("127.0.0.1:"));
        assert!(
            !public && service.ports.is_empty() == (name != "proxy"),
            "{name}: the proxy alone is reached"
        );
    }
    let root = include_str!("../../../Dockerfile");
    assert!(root.contains("\nUSER 65532:65532\n"));
    assert_eq!(compose.services["proxy"].user.as_deref(), Some("101:101"));
    assert_eq!(compose.networks["back"]["internal"], true);
}

#[test]
fn the_database_is_durable() {
    let command = Compose::read().services["postgres"].command.join(" ");
    for setting in ["fsync=on", "synchronous_commit=on", "full_page_writes=on"] {
        assert!(command.contains(setting), "{command}");
    }
}

#[test]
fn the_proxy_waits_longer_than_a_caller_may_and_sends_no_post_twice() {
    let seconds = |directive: &str| -> u64 {
        let (_, rest) =
            NGINX.split_once(&format!(" {directive} ")).unwrap_or_else(|| panic!("no {directive}"));
        rest.split_once("s;").unwrap().0.parse().unwrap()
    };
    assert!(seconds("proxy_read_timeout") > 60, "a wait of 30 s, and the answer's making");
    assert!(seconds("proxy_next_upstream_timeout") < 10);
    let directives = NGINX.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let directives: Vec<&str> = directives.collect();
    assert!(directives.contains(&"proxy_next_upstream error timeout;"));
    assert!(!directives.iter().any(|line| line.contains("non_idempotent")));
    assert!(!directives.iter().any(|line| line.contains("$request_uri") || line.contains("$args")));
}

#[test]
fn the_proxy_asks_the_replicas_and_is_believed_by_them() {
    let compose = Compose::read();
    let subnet = compose.networks["front"]["ipam"]["config"][0]["subnet"].as_str().unwrap();
    for name in compose.replicas() {
        let service = &compose.services[name];
        let port = service.environment["JETON_LISTEN"].strip_prefix("0.0.0.0:").unwrap();
        assert!(NGINX.contains(&format!(" server {}:{port} ", service.address_in("front"))), "{name}");
        assert_eq!(service.environment["JETON_PROXY__TRUSTED"], subnet);
        assert_eq!(default_of(&service.environment["JETON_PUBLIC_URL"]), "http://localhost:8080");
    }
}
