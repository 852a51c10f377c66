//! The store on S3. It writes and reads whole objects, and needs the rights to get, put and list;
//! `infra destroy`, which empties it, also that to delete.

use std::time::SystemTime;

use aws_config::SdkConfig;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use aws_sdk_s3::{Client, config};

use super::{If, Object, Store, StoreError, Version};
use crate::aws::chain;
use crate::cloud::CloudError;

/// A bucket.
#[derive(Debug)]
pub(crate) struct Bucket {
    client: Client,
    name: String,
}

impl Bucket {
    /// The bucket of a name.
    #[must_use]
    pub(crate) fn new(sdk: &SdkConfig, name: String) -> Self {
        // AWS wants the bucket in the host's name, which no other address can offer.
        let elsewhere = sdk.endpoint_url().is_some()
            || std::env::var_os("AWS_ENDPOINT_URL_S3").is_some_and(|url| !url.is_empty());
        let settings = config::Builder::from(sdk).force_path_style(elsewhere).build();
        Self { client: Client::from_conf(settings), name }
    }

    /// Removes everything in it, former versions too: only for a bucket that goes with its stack.
    /// Gives how much that was.
    ///
    /// # Errors
    /// The store does not answer, or something stays.
    pub(crate) async fn empty(&self) -> Result<usize, StoreError> {
        const OPERATION: &str = "s3:DeleteObjects";
        let mut removed = 0;
        loop {
            let list = self.client.list_object_versions().bucket(&self.name).send().await;
            let list = match list.map_err(|error| self.explain("s3:ListObjectVersions", &error)) {
                Ok(list) => list,
                Err(StoreError::NoBucket { .. }) => return Ok(removed),
                Err(error) => return Err(error),
            };
            let versions = list.versions().iter().map(|one| (one.key(), one.version_id()));
            let markers = list.delete_markers().iter().map(|one| (one.key(), one.version_id()));
            let objects: Vec<_> = versions
                .chain(markers)
                .filter_map(|(key, version)| {
                    let object = ObjectIdentifier::builder().key(key?);
                    object.set_version_id(version.map(str::to_owned)).build().ok()
                })
                .collect();
            let count = objects.len();
            if count == 0 {
                return Ok(removed);
            }
            let what = Delete::builder().set_objects(Some(objects)).quiet(true).build();
            let what = what.map_err(|error| CloudError::Lost {
                operation: OPERATION,
                cause: error.to_string(),
            })?;
            let answer = self.client.delete_objects().bucket(&self.name).delete(what).send().await;
            let answer = answer.map_err(|error| self.explain(OPERATION, &error))?;
            if let Some(error) = answer.errors().first() {
                let code = error.code().unwrap_or("an error without a code").to_owned();
                let message = error.message().unwrap_or("no message").to_owned();
                return Err(CloudError::Refused { operation: OPERATION, code, message }.into());
            }
            removed += count;
        }
    }

    fn explain<E, R>(&self, operation: &'static str, error: &SdkError<E, R>) -> StoreError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        R: std::fmt::Debug,
    {
        let SdkError::ServiceError(_) = error else {
            return CloudError::Lost { operation, cause: chain(error) }.into();
        };
        let code = error.code().unwrap_or("an error without a code").to_owned();
        let message = error.message().unwrap_or("no message").to_owned();
        match code.as_str() {
            "NoSuchBucket" => StoreError::NoBucket { bucket: self.name.clone() },
            "SlowDown" | "Throttling" | "ThrottlingException" | "RequestLimitExceeded" => {
                CloudError::Throttled { operation }.into()
            }
            "AccessDenied" | "Forbidden" => CloudError::Denied { operation, message }.into(),
            "InternalError" | "ServiceUnavailable" | "OperationAborted" => {
                CloudError::Lost { operation, cause: format!("{code}: {message}") }.into()
            }
            _ => CloudError::Refused { operation, code, message }.into(),
        }
    }
}

impl Store for Bucket {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn name(&self) -> &str {
        &self.name
    }

    async fn get(&self, key: &str) -> Result<Option<Object>, StoreError> {
        const OPERATION: &str = "s3:GetObject";
        let answer = match self.client.get_object().bucket(&self.name).key(key).send().await {
            Ok(answer) => answer,
            Err(error) if error.code() == Some("NoSuchKey") => return Ok(None),
            Err(error) => return Err(self.explain(OPERATION, &error)),
        };
        let lost = |cause: String| CloudError::Lost { operation: OPERATION, cause };
        let tag = answer.e_tag().map(str::to_owned);
        let version = Version(tag.ok_or_else(|| lost("an object without an ETag".to_owned()))?);
        let body = answer.body.collect().await.map_err(|error| lost(chain(&error)))?;
        Ok(Some(Object { body: body.to_vec(), version }))
    }

    async fn put(&self, key: &str, body: &[u8], when: &If) -> Result<Option<Version>, StoreError> {
        const OPERATION: &str = "s3:PutObject";
        let body = ByteStream::from(body.to_vec());
        let put = self.client.put_object().bucket(&self.name).key(key).body(body);
        let put = put.content_type("application/json");
        let put = match when {
            If::Absent => put.if_none_match("*"),
            If::Is(version) => put.if_match(&version.0),
        };
        match put.send().await {
            Ok(answer) => {
                let tag = answer.e_tag().map(str::to_owned);
                let cause = "no ETag".to_owned();
                let lost = CloudError::Lost { operation: OPERATION, cause };
                Ok(Some(Version(tag.ok_or(lost)?)))
            }
            // 412; and 409, when two write at the same moment. NoSuchKey: it was to be replaced,
            // and is gone.
            Err(error)
                if matches!(
                    error.code(),
                    Some("PreconditionFailed" | "ConditionalRequestConflict" | "NoSuchKey")
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(self.explain(OPERATION, &error)),
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        const OPERATION: &str = "s3:ListObjectsV2";
        let (mut keys, mut next) = (Vec::new(), None);
        loop {
            let list = self.client.list_objects_v2().bucket(&self.name).prefix(prefix);
            let answer = list.set_continuation_token(next).send().await;
            let answer = answer.map_err(|error| self.explain(OPERATION, &error))?;
            keys.extend(
                answer.contents().iter().filter_map(|object| Some(object.key()?.to_owned())),
            );
            next = answer.next_continuation_token().map(str::to_owned);
            if next.is_none() || answer.is_truncated() == Some(false) {
                return Ok(keys);
            }
        }
    }
}
