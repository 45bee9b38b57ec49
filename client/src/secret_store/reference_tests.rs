//! Is a reference read as it was written, and refused with its form where it names nothing?

use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<Reference, ReferenceError> {
    text.parse()
}

#[test]
fn each_store_has_its_form() {
    for text in [
        "file:pipeline",
        "file:prod/pipeline-2.json",
        "env:PIPELINE_CREDENTIAL",
        "aws-sm:eu-west-1/prod/pipeline",
        "aws-sm:us-gov-east-1/a",
        "aws-sm:eu-west-1/arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/pipeline-AbCdEf",
        "azure-kv:corp-vault/prod-pipeline",
        "vault:secret/prod/pipeline#credential",
        "vault:kv/a#b.c",
    ] {
        assert_eq!(parse(text).unwrap().to_string(), text);
    }
}

#[test]
fn what_a_store_cannot_have_is_refused_with_its_form() {
    for text in [
        "file:",
        "file:/etc/shadow",
        "file:../x",
        "file:a/../b",
        "file:a//b",
        "file:.key",
        "file:a b",
        "file:a\\b",
        "file:p/x.lock/y",
        "file:x.sealed",
        "aws-sm:eu-west-1/arn:aws:secretsmanager:us-east-1:123456789012:secret:x",
        "env:",
        "env:1X",
        "env:A-B",
        "env:A=B",
        "aws-sm:eu-west-1",
        "aws-sm:eu-west-1/",
        "aws-sm:Europe/x",
        "aws-sm:-1/x",
        "aws-sm:evil.example-1/x",
        "aws-sm:eu-west-1/a b",
        "aws-sm:eu-west-1/arn:aws:s3:x",
        "azure-kv:v/x",
        "azure-kv:corp/a/b",
        "azure-kv:corp.evil.example/x",
        "azure-kv:corp/a_b",
        "azure-kv:1corp/x",
        // No more than the name of the store, or not all that it needs.
        "aws-sm:",
        "azure-kv:",
        "azure-kv:corp/",
        "vault:",
        "vault:secret/",
        "vault:secret/#a",
        "vault:secret/a#",
        "vault:secret/a",
        "vault:secret#a",
        "vault:secret/../x#a",
        "vault:a/b#c#d",
        "vault:a/b?x#c",
        "vault:/a#b",
    ] {
        let error = parse(text).unwrap_err();
        assert!(matches!(error, ReferenceError::Malformed { .. }), "{text}: {error}");
        assert!(error.to_string().contains("write "), "{error}");
    }
}

#[test]
fn a_region_that_is_none_is_named_where_it_is_no_secret() {
    let told = |text: &str| parse(text).unwrap_err().to_string();
    for text in ["aws-sm:euwest1/prod/pipeline", "aws-sm:euwest1/prod/"] {
        assert!(
            told(text).contains("`euwest1` is no region of AWS: write aws-sm:REGION/ID"),
            "{}",
            told(text)
        );
    }
    assert!(!told("aws-sm:eu-west-1/").contains("is no region"), "{}", told("aws-sm:eu-west-1/"));
    let secret = told("aws-sm:canaryCANARYcanaryCANARYcanaryCANARYcanary0/x");
    assert!(secret.contains("before the first slash is no region") && !secret.contains("canary"), "{secret}");
}

#[test]
fn an_unknown_store_is_named_and_a_secret_not_repeated() {
    let told = parse("gcp-sm:prod/pipeline").unwrap_err().to_string();
    assert!(
        told.starts_with("`gcp-sm:prod/pipeline` names no secret store known here: write file:NAME, env:")
    );
    let secret = "canaryCANARYcanaryCANARYcanaryCANARYcanary0";
    for pasted in [
        secret.to_owned(),
        format!("pipeline:{secret}"),
        format!("Basic {secret}:"),
        format!("aws-sm:{secret}"),
    ] {
        let told = parse(&pasted).unwrap_err().to_string();
        assert!(!told.contains("canary"), "{told}");
    }
}

#[test]
fn a_place_gets_the_name_of_stack_and_identifier() {
    for (place, expected) in [
        ("aws-sm:eu-west-1/", "aws-sm:eu-west-1/prod/pipeline"),
        ("azure-kv:corp/", "azure-kv:corp/prod-pipeline"),
        ("vault:secret/", "vault:secret/prod/pipeline#credential"),
        ("vault:secret/team/", "vault:secret/team/prod/pipeline#credential"),
        ("file:", "file:prod/pipeline"),
        ("env:PIPELINE", "env:PIPELINE"),
        ("aws-sm:eu-west-1/own/name", "aws-sm:eu-west-1/own/name"),
    ] {
        assert_eq!(Reference::named(place, "prod", "pipeline").unwrap().to_string(), expected);
    }
    for identifier in ["Night load", "x#y", "é", "a:b"] {
        for place in ["file:", "azure-kv:corp/", "vault:secret/", "aws-sm:eu-west-1/"] {
            assert!(Reference::named(place, "prod", identifier).is_err(), "{place} {identifier}");
        }
    }
    // Which region, vault or mount nobody says: least of all the stack.
    for (bare, form) in [
        ("aws-sm:", "write aws-sm:REGION/ID"),
        ("azure-kv:", "write azure-kv:VAULT/NAME"),
        ("vault:", "write vault:MOUNT/PATH#FIELD"),
    ] {
        let told = Reference::named(bare, "prod", "pipeline").unwrap_err().to_string();
        assert!(told.contains(&format!("`{bare}`")) && told.contains(form), "{told}");
    }
}

proptest! {
    #[test]
    fn what_parses_is_what_was_written(text in "(file|env|aws-sm|azure-kv|vault):[a-z]{2}-[a-z]{1,4}-[0-9]/?[A-Za-z0-9._/#:-]{0,40}") {
        if let Ok(reference) = parse(&text) {
            prop_assert_eq!(reference.to_string(), text.clone());
            prop_assert_eq!(parse(&reference.to_string()), Ok(reference));
        }
    }

    #[test]
    fn no_text_crashes_the_parser_or_leaves_its_line(text in "\\PC{0,80}|(file|env|aws-sm|azure-kv|vault|x):.{0,80}") {
        match parse(&text) {
            Ok(reference) => prop_assert_eq!(reference.to_string(), text),
            Err(error) => prop_assert!(!error.to_string().chars().any(char::is_control)),
        }
    }

    #[test]
    fn no_name_of_a_file_leaves_its_folder(name in "[./A-Za-z\\\\]{1,30}") {
        if let Ok(Reference::File { name }) = parse(&format!("file:{name}")) {
            let path = std::path::Path::new(&name);
            prop_assert!(path.components().all(|c| matches!(c, std::path::Component::Normal(_))));
        }
    }
}
