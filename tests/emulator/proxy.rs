//! Stands between the pipeline and AWS: writes down every call, and spoils chosen ones.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// AWS refuses it for now.
    Throttle,
    /// AWS fails.
    ServerError,
    /// The connection ends before AWS hears of it.
    HangUp,
    /// AWS does it, and nobody learns of that.
    LoseAnswer,
    /// No answer, for longer than anybody should wait.
    Stall,
}

const STALL: Duration = Duration::from_secs(14);

/// The faults that are still to come, each with the operation that it spoils.
type Faults = Arc<Mutex<Vec<(&'static str, Fault)>>>;

/// What has been asked: method, path, headers and body of each request.
type Requests = Arc<Mutex<Vec<Value>>>;

pub(crate) struct Proxy {
    port: u16,
    faults: Faults,
    requests: Requests,
}

impl Proxy {
    /// Each fault spoils one call of its operation, in their order.
    pub(crate) async fn start(endpoint: &str, faults: Vec<(&'static str, Fault)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (faults, requests) = (Faults::new(Mutex::new(faults)), Requests::default());
        let address = endpoint.trim_start_matches("http://").to_owned();
        let shared = (faults.clone(), requests.clone());
        // Of its own: the tests wait for the pipeline without letting others run.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let listener = listener.into_std().unwrap();
            runtime.unwrap().block_on(async move {
                let listener = TcpListener::from_std(listener).unwrap();
                while let Ok((client, _)) = listener.accept().await {
                    let (faults, requests) = shared.clone();
                    tokio::spawn(serve(client, address.clone(), faults, requests));
                }
            });
        });
        Self { port, faults, requests }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Everything that was asked so far.
    pub(crate) fn requests(&self) -> Vec<Value> {
        self.requests.lock().unwrap().clone()
    }

    /// The faults that did not come to pass.
    pub(crate) fn left(&self) -> Vec<(&'static str, Fault)> {
        self.faults.lock().unwrap().clone()
    }
}

/// One request, one connection.
async fn serve(mut client: TcpStream, address: String, faults: Faults, requests: Requests) {
    let Some(request) = read_request(&mut client).await else { return };
    let head = String::from_utf8_lossy(&request).into_owned();
    requests.lock().unwrap().extend(recorded(&head));
    let fault = {
        let mut faults = faults.lock().unwrap();
        let hit = faults.iter().position(|(operation, _)| {
            head.to_ascii_lowercase().contains(&format!(".{}\r\n", operation.to_ascii_lowercase()))
        });
        hit.map(|place| faults.remove(place).1)
    };
    let answer = |status: &str, body: &str| {
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/x-amz-json-1.1\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    };
    match fault {
        Some(Fault::HangUp) => {}
        Some(Fault::Stall) => tokio::time::sleep(STALL).await,
        Some(Fault::Throttle) => {
            let body = r#"{"__type": "ThrottlingException", "message": "Rate exceeded"}"#;
            let _ = client.write_all(answer("400 Bad Request", body).as_bytes()).await;
        }
        Some(Fault::ServerError) => {
            let _ = client.write_all(answer("500 Internal Server Error", "{}").as_bytes()).await;
        }
        Some(Fault::LoseAnswer) | None => {
            let Ok(mut server) = TcpStream::connect(&address).await else { return };
            if server.write_all(&request).await.is_err() {
                return;
            }
            let mut answer = Vec::new();
            let _ = server.read_to_end(&mut answer).await;
            if fault.is_none() {
                let _ = client.write_all(&answer).await;
            }
        }
    }
}

/// A request in the form that `aws_models.py` reads.
fn recorded(request: &str) -> Option<Value> {
    let (head, body) = request.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let headers: serde_json::Map<String, Value> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().into()))
        .collect();
    let (method, path) = (first.next()?, first.next()?);
    Some(json!({ "method": method, "path": path, "headers": headers, "body": body }))
}

/// A whole request, made to end its connection, so that its answer ends with the connection.
async fn read_request(client: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if client.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    while bytes.len() < end + length.unwrap_or(0) {
        if client.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let (first, rest) = head.split_once("\r\n")?;
    let others = rest.lines().filter(|line| !line.to_ascii_lowercase().starts_with("connection:"));
    let others: Vec<&str> = others.filter(|line| !line.is_empty()).collect();
    let mut request =
        format!("{first}\r\nConnection: close\r\n{}\r\n\r\n", others.join("\r\n")).into_bytes();
    request.extend_from_slice(&bytes[end..]);
    Some(request)
}
