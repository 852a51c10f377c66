//! What most commands begin with: AWS, the store, and who we are there.

use std::collections::BTreeMap;

use aws_config::SdkConfig;

use crate::aws::{self, Aws};
use crate::cloud::Identity;
use crate::config::{Config, Login};
use crate::error::Error;
use crate::observe::{self, Observed};
use crate::store::s3::Bucket;

/// The account's twelve digits, if one wants to be sure.
const ACCOUNT_VARIABLE: &str = "AWS_ACCOUNT_ID";

/// Where production is.
#[derive(Debug)]
pub(crate) struct Site {
    /// For what few commands ask.
    pub(crate) sdk: SdkConfig,
    /// The cloud.
    pub(crate) aws: Aws,
    /// The lock and the records.
    pub(crate) store: Bucket,
    /// Who we are.
    pub(crate) identity: Identity,
}

impl Site {
    /// Finds credentials, and makes sure that they are of the right account.
    ///
    /// # Errors
    /// There are none, or of another account, or AWS does not answer.
    pub(crate) async fn connect(config: &Config) -> Result<Self, Error> {
        let sdk = aws::sdk().await?;
        let aws = Aws::new(&sdk, &config.cluster);
        let wanted = std::env::var(ACCOUNT_VARIABLE).ok();
        let identity = observe::identity(&aws, wanted.as_deref()).await?;
        let store = Bucket::new(&sdk, config.bucket(&identity.account));
        Ok(Self { sdk, aws, store, identity })
    }

    /// Looks at everything.
    ///
    /// # Errors
    /// AWS does not answer one of the questions, or refuses.
    pub(crate) async fn observe(&self, config: &Config) -> Result<Observed, Error> {
        Ok(observe::observe(&self.aws, &self.store, config, self.identity.clone()).await?)
    }
}

/// Makes sure that a push goes to the account that it is meant for, where that is said: only ECR's
/// registry belongs to one.
///
/// # Errors
/// The credentials are of another account, or AWS does not answer.
pub(crate) async fn check_registry(config: &Config) -> Result<(), Error> {
    let said = std::env::var_os(ACCOUNT_VARIABLE).is_some_and(|account| !account.is_empty());
    if said && config.login == Login::Ecr {
        Site::connect(config).await?;
    }
    Ok(())
}

/// The process's environment. Not to be printed.
#[must_use]
pub(crate) fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}
