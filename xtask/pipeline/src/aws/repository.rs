//! The images that ECR keeps: listed, and removed.

use aws_config::SdkConfig;
use aws_sdk_ecr::Client;
use aws_sdk_ecr::types::ImageIdentifier;

use super::error::explain;
use crate::cloud::CloudError;

/// BatchDeleteImage takes so many.
const BATCH: usize = 100;

/// The account's repositories.
#[derive(Debug)]
pub(crate) struct Repositories {
    client: Client,
}

/// An image that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    /// `sha256:…`.
    pub(crate) digest: String,
    /// What names it; nothing for what was overwritten, and for the parts of others.
    pub(crate) tags: Vec<String>,
    /// What it takes.
    pub(crate) bytes: u64,
}

impl Repositories {
    /// Those of the account.
    #[must_use]
    pub(crate) fn new(sdk: &SdkConfig) -> Self {
        Self { client: Client::new(sdk) }
    }

    /// The images of a repository; none if there is no such repository.
    ///
    /// # Errors
    /// AWS does not answer, or refuses.
    pub(crate) async fn images(&self, repository: &str) -> Result<Vec<Stored>, CloudError> {
        let (mut images, mut next) = (Vec::new(), None);
        loop {
            let asked = self.client.describe_images().repository_name(repository);
            let answer = match Box::pin(asked.set_next_token(next).send()).await {
                Ok(answer) => answer,
                Err(error) => {
                    let error = explain("ecr:DescribeImages", &error);
                    return if error.is_not_found() { Ok(Vec::new()) } else { Err(error) };
                }
            };
            images.extend(answer.image_details().iter().filter_map(|image| {
                Some(Stored {
                    digest: image.image_digest()?.to_owned(),
                    tags: image.image_tags().to_vec(),
                    bytes: image.image_size_in_bytes().and_then(|size| size.try_into().ok())?,
                })
            }));
            next = answer.next_token().map(str::to_owned);
            if next.is_none() {
                return Ok(images);
            }
        }
    }

    /// Removes images, by digest. Gives those that ECR would not remove, with its reasons.
    ///
    /// # Errors
    /// AWS does not answer, or refuses.
    pub(crate) async fn remove(
        &self,
        repository: &str,
        digests: &[String],
    ) -> Result<Vec<(String, String)>, CloudError> {
        let mut kept = Vec::new();
        for batch in digests.chunks(BATCH) {
            let ids =
                batch.iter().map(|digest| ImageIdentifier::builder().image_digest(digest).build());
            let asked = self.client.batch_delete_image().repository_name(repository);
            let answer = Box::pin(asked.set_image_ids(Some(ids.collect())).send())
                .await
                .map_err(|error| explain("ecr:BatchDeleteImage", &error))?;
            kept.extend(answer.failures().iter().map(|failure| {
                let digest = failure.image_id().and_then(ImageIdentifier::image_digest);
                let reason = failure.failure_reason().unwrap_or("no reason").to_owned();
                (digest.unwrap_or_default().to_owned(), reason)
            }));
        }
        Ok(kept)
    }
}
