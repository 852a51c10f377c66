//! `plan`: what a deployment would do.

use clap::Args;

use super::Common;
use super::prospect::Prospect;
use super::site::Site;
use crate::config::ServiceName;
use crate::error::Error;
use crate::exit_code;
use crate::interrupt::Stop;
use crate::report::answer;

/// Show what a deployment would do, and change nothing
///
/// It needs no Docker where a record names the commit's images.
#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// Only this service
    #[arg(long, value_enum)]
    service: Option<ServiceName>,
    /// Exit with 2 if anything would change
    #[arg(long)]
    detailed_exitcode: bool,
}

impl Plan {
    /// Looks, and tells. Gives the exit code.
    pub(crate) async fn run(&self, common: &Common, stop: &Stop) -> Result<u8, Error> {
        let config = common.config()?;
        let looked = async {
            let site = Site::connect(&config).await?;
            Prospect::new(&config, &site, self.service, None, false, None, stop).await
        };
        let prospect = stop.or_interrupted(looked).await?;
        answer(common.output, &prospect.plan)?;
        let pending = self.detailed_exitcode && prospect.plan.is_pending();
        Ok(if pending { exit_code::CHANGES_PENDING } else { exit_code::OK })
    }
}
