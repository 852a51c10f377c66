//! ECS's own JSON, past the SDK's types.
//!
//! ECS speaks JSON. The SDK's types would drop every member that they do not know, on the way in
//! and on the way out, and a task definition must survive both. So the SDK signs, retries, limits
//! and sorts errors, and the body is ours.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_ecs::config::interceptors::{
    AfterDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
};
use aws_sdk_ecs::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ecs::error::BoxError;
use aws_smithy_types::body::SdkBody;
use serde_json::Value;

/// Puts a body in, and takes the answer's out.
#[derive(Debug, Clone)]
pub(super) struct Raw {
    request: Arc<str>,
    answer: Arc<Mutex<Value>>,
}

impl Raw {
    /// For one call.
    pub(super) fn new(request: &Value) -> Self {
        Self { request: request.to_string().into(), answer: Arc::default() }
    }

    /// What AWS answered.
    pub(super) fn answer(&self) -> Value {
        std::mem::take(&mut *self.answer.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Intercept for Raw {
    fn name(&self) -> &'static str {
        "Raw"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        *request.body_mut() = SdkBody::from(&*self.request);
        request.headers_mut().insert("content-length", self.request.len().to_string());
        Ok(())
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.response().body().bytes().unwrap_or_default();
        // An error's body may be anything. It is the SDK's to read.
        if let Ok(answer) = serde_json::from_slice(body) {
            *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = answer;
        }
        Ok(())
    }
}
