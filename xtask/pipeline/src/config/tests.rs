//! What the file may say, and what comes of it.

use super::*;

const SMALLEST: &str = "name = \"shop\"\n[services.users]\n[services.client]\n";

fn parse(text: &str, environment: &[(&str, &str)]) -> Result<Config, Error> {
    parse_with(text, &[], environment)
}

fn parse_with(text: &str, sets: &[&str], environment: &[(&str, &str)]) -> Result<Config, Error> {
    let sets: Vec<Set> = sets.iter().map(|set| set.parse().unwrap()).collect();
    Config::parse(Path::new(PATH), text, &sets, |name| {
        environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    })
}

fn message(text: &str) -> String {
    parse(text, &[]).unwrap_err().to_string()
}

#[test]
fn everything_derives_from_the_name() {
    let config = parse(SMALLEST, &[]).unwrap();
    assert_eq!(config.registry_host, None);
    assert_eq!(config.login, Login::Ecr);
    assert_eq!(config.platform, "linux/amd64");
    let repositories: Vec<_> =
        config.services(None).map(|service| service.repository.as_str()).collect();
    assert_eq!(repositories, ["shop-users", "shop-client"]);
    let client: Vec<_> = config.services(Some(ServiceName::Client)).collect();
    assert_eq!(client.len(), 1);
    assert_eq!(client[0].dockerfile, "Dockerfile.client");
}

#[test]
fn every_name_can_be_set() {
    let text = "name = \"shop\"\n[registry]\nhost = \"127.0.0.1:5000\"\n[images]\n\
                platform = \"linux/arm64\"\n[services.users]\nrepository = \"a/b\"\n\
                dockerfile = \"docker/users\"\n[services.client]\n";
    let config = parse(text, &[]).unwrap();
    assert_eq!(config.registry_host.as_deref(), Some("127.0.0.1:5000"));
    assert_eq!(config.login, Login::Environment);
    assert_eq!(config.platform, "linux/arm64");
    let users = config.services(Some(ServiceName::Users)).next().unwrap();
    assert_eq!((&*users.repository, &*users.dockerfile), ("a/b", "docker/users"));
}

#[test]
fn the_environment_goes_before_the_file() {
    let text = format!("{SMALLEST}build_args = {{ API_SERVICE_URL = \"https://a\" }}\n");
    let url = |environment: &[_]| {
        let config = parse(&text, environment).unwrap();
        let client = config.services(Some(ServiceName::Client)).next().unwrap();
        client.build_args["API_SERVICE_URL"].clone()
    };
    assert_eq!(url(&[]), "https://a");
    assert_eq!(url(&[("API_SERVICE_URL", "")]), "https://a");
    assert_eq!(url(&[("API_SERVICE_URL", "https://b")]), "https://b");
    let config = parse(&text, &[(HOST_VARIABLE, "registry.example:5000")]).unwrap();
    assert_eq!(config.registry_host.as_deref(), Some("registry.example:5000"));
    let host = config.settings().iter().find(|setting| setting.key == "registry.host");
    assert_eq!(host.unwrap().source, Origin::Environment);
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_the_nearest_known_one() {
    let text = "name = \"shop\"\n[services.users]\nrepositry = \"x\"\n[services.client]\n";
    assert_eq!(
        message(text),
        "ecs/pipeline.toml:3: unknown key `repositry`; did you mean `repository`?"
    );
    let unknown = message(&format!("frobnicate = 1\n{SMALLEST}"));
    assert!(
        unknown.contains("known here: name, environment, branch, registry, images"),
        "{unknown}"
    );
}

#[test]
fn impossible_values_are_refused_with_the_rule() {
    assert!(message("name = \"Shop!\"\n[services.users]\n[services.client]\n").contains("name"));
    let url = format!("{SMALLEST}[registry]\nhost = \"https://x\"\n");
    assert!(message(&url).contains("without https://"));
    let login = format!("{SMALLEST}[registry]\nlogin = \"docker\"\n");
    assert!(message(&login).contains("set registry.host as well"));
    let repository =
        SMALLEST.replace("[services.client]", "repository = \"A b\"\n[services.client]");
    assert!(message(&repository).contains("A b"));
    assert!(message("name = [\n").starts_with("ecs/pipeline.toml:"));
}

#[test]
fn ecr_is_known_by_its_name() {
    assert!(is_ecr("123456789012.dkr.ecr.us-west-1.amazonaws.com"));
    assert!(is_ecr("123456789012.dkr.ecr-fips.us-west-1.amazonaws.com"));
    assert!(is_ecr("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn"));
    assert!(!is_ecr("ghcr.io"));
    assert!(!is_ecr("a.dkr.ecr.us-west-1.amazonaws.com.example.com"));
}

#[test]
fn every_aws_name_derives_from_the_name() {
    let config = parse(SMALLEST, &[]).unwrap();
    assert_eq!(config.cluster, "shop-cluster");
    assert_eq!(config.stack, "shop");
    assert_eq!(config.load_balancer, "shop-alb");
    assert_eq!(config.bucket("123456789012"), "shop-pipeline-123456789012");
    assert_eq!(config.execution_role, "shop-execution-role");
    assert_eq!(config.database, Database { name: "users".to_owned(), protected: true });
    let users = config.service(ServiceName::Users);
    assert_eq!(users.ecs_service, "shop-users-service");
    assert_eq!(users.family, "shop-users-td");
    assert_eq!(users.container, "users");
    assert_eq!(users.target_group, "shop-users-tg");
    assert_eq!(users.log_group, "shop-users-log");
    assert_eq!(users.task_definition, "ecs/ecs_users_taskdefinition.json");
    assert_eq!(users.service_definition, "ecs/ecs_users_service.json");
    assert_eq!((users.level, config.service(ServiceName::Client).level), (0, 1));
}

#[test]
fn an_account_that_was_set_up_by_hand_is_adopted_by_its_names() {
    let text = "name = \"test-driven\"\n[aws]\ncluster = \"flask-react-cluster\"\n\
                load_balancer = \"flask-react-alb\"\nbucket = \"my-own\"\n[services.users]\n\
                family = \"flask-react-users-td\"\nservice = \"flask-react-users-service\"\n\
                [services.client]\ndepends_on = []\n";
    let config = parse(text, &[]).unwrap();
    let users = config.service(ServiceName::Users);
    assert_eq!(config.cluster, "flask-react-cluster");
    assert_eq!(config.bucket("123456789012"), "my-own");
    assert_eq!(users.family, "flask-react-users-td");
    assert_eq!(config.service(ServiceName::Client).level, 0, "both move at once");
    let cluster = config.settings().iter().find(|setting| setting.key == "aws.cluster").unwrap();
    assert_eq!(cluster.source, Origin::File);
}

#[test]
fn the_command_line_goes_before_the_file() {
    let sets = ["name=market", "images.cache=false", "parameters={ MinHosts = 2 }"];
    let config = parse_with(SMALLEST, &sets, &[]).unwrap();
    assert_eq!(config.cluster, "market-cluster");
    assert!(!config.cache);
    let source = |key: &str| {
        let setting = config.settings().iter().find(|setting| setting.key == key);
        setting.map(|setting| setting.source)
    };
    assert_eq!(source("name"), Some(Origin::Option));
    assert_eq!(source("parameters.MinHosts"), Some(Origin::Option));
    assert_eq!(source("aws.cluster"), Some(Origin::Default));
    let unknown = parse_with(SMALLEST, &["images.cach=false"], &[]).unwrap_err().to_string();
    assert!(unknown.contains("--set: ") && unknown.contains("did you mean `cache`?"), "{unknown}");
}

#[test]
fn names_that_aws_would_refuse_are_refused_here() {
    let long =
        message("name = \"a-name-that-is-quite-long\"\n[services.users]\n[services.client]\n");
    assert!(long.contains("target_group") && long.contains("32 characters"), "{long}");
    let circle = format!("{SMALLEST}depends_on = [\"client\"]\n");
    assert!(message(&circle).contains("must not wait"), "{}", message(&circle));
    let never = format!("deploy = {{ timeout = 0 }}\n{SMALLEST}");
    assert!(message(&never).contains("deploy.timeout = \"0\": at least 1"));
    let lower = format!("{SMALLEST}[values]\nmemory = 300\n");
    assert!(message(&lower).contains("capital letters"), "{}", message(&lower));
}

#[test]
fn the_schema_knows_every_key_and_refuses_others() {
    let schema = serde_json::to_value(schema()).unwrap();
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["required"], serde_json::json!(["name", "services"]));
    assert!(
        schema["$defs"]["ServiceSection"]["properties"]["log_group"]["description"].is_string()
    );
}

#[test]
fn the_workspace_s_own_file_is_right() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../ecs/pipeline.toml");
    let config = Config::load(Path::new(path), &[]).unwrap();
    assert_eq!(config.service(ServiceName::Users).family, "test-driven-users-td");
}

#[test]
fn what_the_file_says_in_comments_holds_anyway() {
    let file = include_str!("../../../../ecs/pipeline.toml");
    // These have no default, or one that only the account knows.
    let without =
        ["host", "login", "url", "bucket", "DATABASE_URL_SECRET_ARN", "DomainName", "HostedZoneId"];
    let uncommented: Vec<&str> = file
        .lines()
        .map(|line| {
            let setting = line.strip_prefix("# ").filter(|rest| {
                rest.split_once(" = ")
                    .is_some_and(|(key, _)| !key.contains(' ') && !without.contains(&key))
            });
            setting.unwrap_or(line)
        })
        .collect();
    let (said, meant) = (parse(&uncommented.join("\n"), &[]).unwrap(), parse(file, &[]).unwrap());
    let values = |config: &Config| {
        let settings = config.settings().iter();
        settings.map(|one| (one.key.clone(), one.value.clone())).collect::<Vec<_>>()
    };
    assert_eq!(values(&said), values(&meant));
    let by_file = |config: &Config| {
        config.settings().iter().filter(|setting| setting.source == Origin::File).count()
    };
    assert!(by_file(&said) > by_file(&meant) + 15, "they were not uncommented");
}

#[test]
fn what_looks_like_a_secret_is_not_shown_although_it_does_not_belong_there() {
    let config = Config::example(
        "name = \"shop\"\n[services.users]\nbuild_args = { NPM_TOKEN = \"hunter2\", API = \"\" }\n\
         [services.client]\nbuild_args = { API_SERVICE_URL = \"https://a\" }\n\
         [values]\nSECRET_KEY = \"hunter2\"\nDB = \"postgres://ada:hunter2@db/users\"\n\
         SECRET_KEY_SECRET_ARN = \"arn:aws:ssm:::x\"\nMEMORY = 300\n\
         [parameters]\nDatabasePassword = \"hunter2\"\nRepositoryUrl = \"https://b\"\n",
    );
    let shown = |key: &str| {
        let setting = config.settings().iter().find(|setting| setting.key == key);
        setting.map(|setting| setting.value.as_str())
    };
    for key in [
        "services.users.build_args.NPM_TOKEN",
        "values.SECRET_KEY",
        "values.DB",
        "parameters.DatabasePassword",
    ] {
        assert_eq!(shown(key), Some("<redacted>"), "{key}");
    }
    assert_eq!(shown("services.client.build_args.API_SERVICE_URL"), Some("https://a"));
    assert_eq!(shown("values.SECRET_KEY_SECRET_ARN"), Some("arn:aws:ssm:::x"));
    assert_eq!(shown("values.MEMORY"), Some("300"));
    assert_eq!(shown("parameters.RepositoryUrl"), Some("https://b"));
}
