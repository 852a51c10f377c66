//! Signing in with a token that ECR gives. AWS is a small server here: it answers this one call.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::checkout::{Checkout, image};
use crate::registry::{PASSWORD, Registry, USERNAME};

/// Answers every request in the same way, and remembers what was asked.
struct Aws {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Aws {
    fn answering(status: &'static str, body: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&asked);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let (mut line, mut length) = (String::new(), 0);
                while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                    let (name, value) = line.split_once(':').unwrap_or((&line, ""));
                    match name.to_ascii_lowercase().as_str() {
                        "content-length" => length = value.trim().parse().unwrap(),
                        "x-amz-target" => record.lock().unwrap().push(value.trim().to_owned()),
                        _ => {}
                    }
                    line.clear();
                }
                let mut request = vec![0; length];
                reader.read_exact(&mut request).unwrap();
                let answer = format!(
                    "HTTP/1.1 {status}\r\ncontent-type: application/x-amz-json-1.1\r\n\
                     content-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        Self { url, asked }
    }

    fn checkout(&self, host: &str) -> Checkout {
        let checkout = Checkout::new(host);
        // For the host that ECR names itself.
        checkout.configure("");
        checkout.commit("Let ECR name the registry");
        ["REGISTRY_USERNAME", "REGISTRY_PASSWORD"]
            .into_iter()
            .fold(checkout, |checkout, name| checkout.set(name, ""))
            .set("AWS_ENDPOINT_URL", &self.url)
            .set("AWS_REGION", "us-west-1")
            .set("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            .set("AWS_SECRET_ACCESS_KEY", "example")
    }
}

#[tokio::test]
async fn ecr_names_its_registry_and_lets_us_in() {
    let registry = Registry::start().await;
    let token = STANDARD.encode(format!("{USERNAME}:{PASSWORD}"));
    let endpoint = format!("http://{}", registry.host);
    let data = json!({ "authorizationToken": token, "proxyEndpoint": endpoint, "expiresAt": 2e9 });
    let aws = Aws::answering("200 OK", json!({ "authorizationData": [data] }).to_string());
    let checkout = aws.checkout(&registry.host);
    let pushed = checkout.run(&["push", "--service", "users", "--output", "json"]);
    assert!(!pushed.output().contains(&token));
    let reference = image(&pushed.report(), "users")["reference"].as_str().unwrap().to_owned();
    assert!(reference.starts_with(&format!("{}/", registry.host)), "{reference}");
    assert_eq!(registry.tags(&checkout.repository("users")).await.len(), 3);
    let asked = aws.asked.lock().unwrap();
    let expected = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken";
    assert_eq!(*asked, [expected], "once, and nothing else");
}

#[tokio::test]
async fn a_refusal_of_aws_is_one_line() {
    let refusal = json!({ "__type": "AccessDeniedException", "message": "ada may not" });
    let aws = Aws::answering("400 Bad Request", refusal.to_string());
    let line = aws.checkout("127.0.0.1:1").run(&["push"]).only_line(20).to_owned();
    assert_eq!(
        line,
        "error: AWS refused ecr:GetAuthorizationToken: AccessDeniedException: ada may not"
    );
}

#[tokio::test]
async fn missing_aws_settings_are_named() {
    let aws = Aws::answering("500 Internal Server Error", String::new());
    let nowhere = aws.checkout("127.0.0.1:1").set("AWS_REGION", "");
    assert!(nowhere.run(&["push"]).only_line(10).contains("set AWS_REGION"));
    let nobody = aws.checkout("127.0.0.1:1").set("AWS_ACCESS_KEY_ID", "");
    let line = nobody.run(&["push"]).only_line(10).to_owned();
    assert!(line.contains("no AWS credentials") && line.contains("AWS_PROFILE"), "{line}");
    assert!(aws.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn aws_out_of_reach_is_one_line() {
    let aws = Aws::answering("200 OK", String::new());
    let nowhere = format!("http://127.0.0.1:{}", tests::guard::free_port());
    let checkout = aws.checkout("127.0.0.1:1").set("AWS_ENDPOINT_URL", &nowhere);
    let line = checkout.run(&["push"]).only_line(20).to_owned();
    assert!(
        line.starts_with("error: AWS cannot be reached for ecr:GetAuthorizationToken: "),
        "{line}"
    );
    assert!(line.contains("Connection refused") && !line.contains('{'), "{line}");
}
