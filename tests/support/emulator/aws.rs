//! AWS's wire protocols, as far as the tests need them to set the stage and to look behind the
//! tool's back. The emulator checks no signature; it finds the service in the credential's scope.

use serde_json::{Value, json};

/// The account that the emulator makes of the access key.
pub const ACCOUNT: &str = "123456789012";
/// The region that it is in.
pub const REGION: &str = "us-west-1";

/// Asks the services at `endpoint`.
#[derive(Clone, Debug)]
pub struct Aws {
    endpoint: String,
    http: reqwest::Client,
}

impl Aws {
    /// Asks nothing yet.
    pub fn new(endpoint: &str) -> Self {
        // The emulator may end a connection that idles at the moment when it is used again.
        let http = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
        Self { endpoint: endpoint.to_owned(), http }
    }

    fn request(
        &self,
        method: reqwest::Method,
        service: &str,
        path: &str,
    ) -> reqwest::RequestBuilder {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={ACCOUNT}/20260101/{REGION}/{service}/aws4_request, \
             SignedHeaders=host, Signature=0"
        );
        self.http
            .request(method, format!("{}{path}", self.endpoint))
            .header("authorization", authorization)
    }

    /// A call of a JSON protocol; `target` is the service's name there with the operation.
    pub async fn json(&self, service: &str, target: &str, body: Value) -> Value {
        let request = self
            .request(reqwest::Method::POST, service, "/")
            .header("x-amz-target", target)
            .header("content-type", "application/x-amz-json-1.1")
            .body(body.to_string());
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{target}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// A call of ECS.
    pub async fn ecs(&self, operation: &str, body: Value) -> Value {
        let target = format!("AmazonEC2ContainerServiceV20141113.{operation}");
        self.json("ecs", &target, body).await
    }

    /// A call of the query protocol; the answer is XML.
    pub async fn query(&self, service: &str, parameters: &[(&str, &str)]) -> String {
        let request = self.request(reqwest::Method::POST, service, "/").form(parameters);
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{parameters:?}: {status} {text}");
        text
    }

    /// Makes a bucket.
    pub async fn bucket(&self, name: &str) {
        let place = format!(
            "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <LocationConstraint>{REGION}</LocationConstraint></CreateBucketConfiguration>"
        );
        let request = self.request(reqwest::Method::PUT, "s3", &format!("/{name}")).body(place);
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "bucket {name}: {status} {text}");
    }

    /// Writes an object.
    pub async fn object(&self, bucket: &str, key: &str, body: &str) {
        let request = self.request(reqwest::Method::PUT, "s3", &format!("/{bucket}/{key}"));
        let answer = request.body(body.to_owned()).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{bucket}/{key}: {status} {text}");
    }

    /// Whether an object is there.
    pub async fn has_object(&self, bucket: &str, key: &str) -> bool {
        let request = self.request(reqwest::Method::GET, "s3", &format!("/{bucket}/{key}"));
        request.send().await.unwrap().status().is_success()
    }

    /// How many revisions a family has.
    pub async fn revisions(&self, family: &str) -> usize {
        let answer = self.ecs("ListTaskDefinitions", json!({ "familyPrefix": family })).await;
        answer["taskDefinitionArns"].as_array().unwrap().len()
    }

    /// The task definition that a service's primary deployment has, by family and revision.
    pub async fn primary(&self, cluster: &str, service: &str) -> String {
        let question = json!({ "cluster": cluster, "services": [service] });
        let answer = self.ecs("DescribeServices", question).await;
        let deployments = answer["services"][0]["deployments"].as_array().unwrap();
        let primary = deployments.iter().find(|one| one["status"] == "PRIMARY").unwrap();
        let arn = primary["taskDefinition"].as_str().unwrap();
        arn.rsplit('/').next().unwrap().to_owned()
    }
}

/// What stands between `<tag>` and `</tag>`, the first time.
pub fn element<'x>(xml: &'x str, tag: &str) -> &'x str {
    let (_, rest) = xml.split_once(&format!("<{tag}>")).unwrap_or_else(|| panic!("{tag} in {xml}"));
    rest.split_once(&format!("</{tag}>")).unwrap().0
}
