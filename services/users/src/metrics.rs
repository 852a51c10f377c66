//! Figures about the running service, in Prometheus's text format, on a port of their own.
//!
//! No label takes its value from what a client sends: a path counts under its route's pattern,
//! and all that are no route's share one; methods likewise. So the number of series is bounded.

use std::{fmt, time::Duration};

use actix_web::{
    HttpResponse,
    http::{Method, StatusCode, header},
    web::{Data, ServiceConfig, get, resource},
};
use prometheus_client::{
    collector::Collector,
    encoding::{
        DescriptorEncoder, EncodeLabelSet, EncodeMetric,
        prometheus_text::{CONTENT_TYPE, encode},
    },
    metrics::{
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::ConstGauge,
        histogram::Histogram,
    },
    registry::Registry,
};

use crate::{auth::password::Hasher, db::Databases};

/// Where they are read.
const PATH: &str = "/metrics";
/// What every name begins with.
const PREFIX: &str = "users";
/// Under which all paths count that are no route's, and all methods that nobody knows.
const OTHER: &str = "other";
/// Seconds. A look-up takes less than the first, a password's hash some 25 ms, and the slowest
/// statement is cancelled at the last.
const BUCKETS: [f64; 13] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// What is counted as it happens, and where the rest is asked for.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Request, Counter>,
    durations: Family<Route, Histogram, fn() -> Histogram>,
    throttled: Family<Throttled, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    method: &'static str,
    path: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    method: &'static str,
    path: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Throttled {
    kind: &'static str,
}

impl Metrics {
    /// Of a service with these parts.
    pub(crate) fn new(databases: Databases, hasher: Hasher) -> Self {
        let requests = Family::<Request, Counter>::default();
        let new: fn() -> Histogram = histogram;
        let durations = Family::new_with_constructor(new);
        let throttled = Family::<Throttled, Counter>::default();
        let mut registry = Registry::with_prefix(PREFIX);
        registry.register(
            "http_requests",
            "Requests that were answered, by the route's pattern",
            requests.clone(),
        );
        registry.register(
            "http_request_duration_seconds",
            "Time from a request's head to its answer's, by the route's pattern",
            durations.clone(),
        );
        registry.register(
            "throttled",
            "Tries that were refused as too many, by what they were counted under",
            throttled.clone(),
        );
        registry.register_collector(Box::new(Parts { databases, hasher }));
        Self { registry, requests, durations, throttled }
    }

    /// Counts a request. `pattern` is its route's; none where it has no route.
    pub(crate) fn request(
        &self,
        method: &Method,
        pattern: Option<String>,
        status: StatusCode,
        took: Duration,
    ) {
        let route =
            Route { method: known(method), path: pattern.unwrap_or_else(|| OTHER.to_owned()) };
        self.durations.get_or_create(&route).observe(took.as_secs_f64());
        let Route { method, path } = route;
        self.requests.get_or_create(&Request { method, path, status: status.as_u16() }).inc();
    }

    /// Counts a try that was refused.
    pub(crate) fn throttled(&self, kind: &'static str) {
        self.throttled.get_or_create(&Throttled { kind }).inc();
    }

    fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

fn histogram() -> Histogram {
    Histogram::new(BUCKETS)
}

fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        _ => OTHER,
    }
}

/// Parts that know by themselves how they are doing.
#[derive(Debug)]
struct Parts {
    databases: Databases,
    hasher: Hasher,
}

impl Collector for Parts {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut gauge = |name: &str, help: &str, value: usize| {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            let encoder = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
            gauge.encode(encoder)
        };
        let database = self.databases.usage();
        gauge("database_connections_max", "Connections that there may be", database.limit)?;
        gauge("database_connections", "Connections that there are", database.open)?;
        gauge("database_connections_idle", "Connections that nobody uses", database.idle)?;
        gauge("database_reading", "Requests that wait for what they read", database.reading)?;
        gauge(
            "database_waiting",
            "Requests that wait for a connection to write with",
            database.waiting,
        )?;
        let hasher = self.hasher.load();
        gauge("password_hashes_waiting", "Passwords in the queue", hasher.waiting)?;
        gauge("password_hashes_running", "Passwords that are being hashed", hasher.running)?;
        let shed = ConstCounter::new(hasher.shed);
        let help = "Passwords that were refused because the queue was full";
        let encoder =
            encoder.encode_descriptor("password_hashes_shed", help, None, shed.metric_type())?;
        shed.encode(encoder)
    }
}

/// Registers the one path.
pub(crate) fn configure(services: &mut ServiceConfig) {
    services.service(resource(PATH).route(get().to(show)));
}

async fn show(metrics: Data<Metrics>) -> HttpResponse {
    match metrics.text() {
        Ok(text) => {
            HttpResponse::Ok().insert_header((header::CONTENT_TYPE, CONTENT_TYPE)).body(text)
        }
        Err(fmt::Error) => HttpResponse::InternalServerError().finish(),
    }
}
