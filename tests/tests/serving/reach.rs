//! How the shipped runtime is reached: from outside, over TLS, through a proxy; and what it knows then of
//! who calls.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use mxcp_tests::binaries;
use mxcp_tests::http::Connection;
use mxcp_tests::project::Project;
use mxcp_tests::server::{Server, free_port};
use mxcp_tests::workspace;
use serde_json::{Value, json};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::peer::{MODERN, initialize, modern};

const SITE: &str = "mxcp: 1
project: reach
profile: default
profiles: { default: { audit: { enabled: true } } }
";

/// For callers at one address, and for callers in a session.
const TOOLS: [(&str, &str); 2] = [
    (
        "tools/inside.yml",
        "mxcp: 1
tool:
  name: inside
  description: For one address.
  return: { type: string }
  source: { code: \"SELECT 'inside'\" }
  policies:
    input:
      - { condition: \"request.client.ip != '203.0.113.9'\", action: deny, reason: Elsewhere }
",
    ),
    (
        "tools/seated.yml",
        "mxcp: 1
tool:
  name: seated
  description: For sessions.
  return: { type: string }
  source: { code: \"SELECT 'seated'\" }
  policies:
    input:
      - { condition: \"request.session_id == null\", action: deny, reason: No session }
",
    ),
];

/// The project with a user file that says how it is reached; the options that use it.
fn project(http: &Value, auth: &Value) -> Project {
    let mut files = vec![("mxcp-site.yml", SITE)];
    files.extend(TOOLS);
    let project = Project::new(&files);
    let user = json!({
        "mxcp": 1,
        "transport": { "http": http },
        "projects": { "reach": { "profiles": { "default": { "auth": auth } } } },
    });
    project.write("user.yml", &user.to_string());
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(project.path("user.yml"), mode).unwrap();
    project
}

fn none() -> Value {
    json!({ "provider": "none" })
}

/// Serves a project with its user file, on loopback.
fn serve(project: &Project, options: &[&str]) -> Server {
    let bundle = project.build();
    let config = project.path("user.yml").display().to_string();
    Server::start(project, &bundle, &[&["--config", &config], options].concat())
}

/// What a server says that does not start on a host.
fn refused(project: &Project, host: &str, options: &[&str]) -> String {
    let bundle = project.build();
    let mut command = binaries::runtime();
    command.arg(bundle).args(["serve", "--transport", "streamable-http", "--host", host]);
    command.args(["--port", &free_port().to_string(), "--config"]).arg(project.path("user.yml"));
    let done = command.args(options).current_dir(project.path("")).output().unwrap();
    assert_eq!(done.status.code(), Some(2), "{done:?}");
    String::from_utf8_lossy(&done.stderr).into_owned()
}

/// What a tool answers to a modern request with these headers.
fn call(address: SocketAddr, tool: &str, headers: &[(&str, &str)]) -> Value {
    let mut all =
        vec![("MCP-Protocol-Version", MODERN), ("Mcp-Method", "tools/call"), ("Mcp-Name", tool)];
    all.extend_from_slice(headers);
    let message = modern("tools/call", json!({ "name": tool, "arguments": {} }));
    Connection::open(address).rpc(&all, &message).json()
}

fn is_answered(answer: &Value) -> bool {
    answer["result"]["structuredContent"].is_object() || answer["result"]["isError"] == false
}

#[test]
fn nobody_unknown_is_served_from_outside_unless_that_is_said() {
    let project = project(&json!({}), &none());
    let told = refused(&project, "0.0.0.0", &[]);
    assert!(told.contains("say `--allow-anonymous`"), "{told}");
    let everybody = ["--allow-anonymous", "--user-context", r#"{"role": "admin"}"#];
    let told = refused(&project, "0.0.0.0", &everybody);
    assert!(told.contains("only on this machine"), "{told}");
    let port = free_port();
    let mut command = binaries::runtime();
    command.arg(project.build()).args(["serve", "--transport", "streamable-http"]);
    command.args(["--host", "0.0.0.0", "--allow-anonymous", "--port", &port.to_string()]);
    command.arg("--config").arg(project.path("user.yml")).current_dir(project.path(""));
    let server = Server::spawn(command, port);
    let denied = call(server.address(), "inside", &[]);
    assert!(denied.to_string().contains("Elsewhere"), "{denied}");
    assert!(server.log().contains("nobody is authenticated"), "{}", server.log());
}

#[test]
fn tokens_do_not_leave_this_machine_without_tls() {
    let auth = json!({
        "provider": "github",
        "github": { "client_id": "a", "client_secret": "b" },
        "persistence": { "type": "sqlite", "path": "sessions.db" },
    });
    let plain = project(&json!({ "base_url": "http://mcp.corp.example" }), &auth);
    let told = refused(&plain, "127.0.0.1", &[]);
    assert!(told.contains("base_url") && told.contains("http://mcp.corp.example"), "{told}");
    let secure = project(&json!({ "base_url": "https://mcp.corp.example" }), &auth);
    let server = serve(&secure, &[]);
    let metadata = Connection::open(server.address()).send(
        b"GET /.well-known/oauth-authorization-server HTTP/1.1\r\nHost: mcp.corp.example\r\n\r\n",
    );
    assert_eq!(metadata.json()["issuer"], "https://mcp.corp.example");
}

#[test]
fn an_operator_cannot_send_people_anywhere() {
    let auth = json!({
        "provider": "github",
        "github": { "client_id": "a", "client_secret": "b" },
        "persistence": { "type": "sqlite", "path": "sessions.db" },
        "clients": [{ "client_id": "c", "redirect_uris": ["javascript:alert(1)"] }],
    });
    let told = refused(&project(&json!({}), &auth), "127.0.0.1", &[]);
    assert!(told.contains("clients[0].redirect_uris") && told.contains("javascript:"), "{told}");
}

#[test]
fn tls_is_the_only_way_where_it_is_configured() {
    let folder = workspace::root().join("runtime/src/transport/tls");
    let project = project(&json!({ "tls": { "cert": "cert.pem", "key": "key.pem" } }), &none());
    for (name, mode) in [("cert.pem", 0o644), ("key.pem", 0o600)] {
        std::fs::copy(folder.join(format!("test-{name}")), project.path(name)).unwrap();
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(project.path(name), mode).unwrap();
    }
    let server = serve(&project, &[]);
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(project.path("cert.pem")).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let socket = TcpStream::connect(server.address()).unwrap();
    let mut stream = StreamOwned::new(connection, socket);
    stream
        .write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("ready\n"), "{answer}");
    // Whoever speaks without it hears nothing of HTTP.
    let mut plain = TcpStream::connect(server.address()).unwrap();
    plain.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut heard = Vec::new();
    let _ = plain.read_to_end(&mut heard);
    assert!(!heard.windows(5).any(|bytes| bytes == b"HTTP/"), "{heard:?}");
}

#[test]
fn what_a_proxy_says_counts_where_proxies_are_trusted() {
    let said = [("X-Forwarded-For", "198.51.100.7, 203.0.113.9"), ("X-Forwarded-Proto", "https")];
    let spoofed = [("X-Forwarded-For", "203.0.113.9, 198.51.100.7")];
    let trusting = project(&json!({ "trust_proxy": true }), &none());
    let server = serve(&trusting, &[]);
    let answer = call(server.address(), "inside", &said);
    assert!(is_answered(&answer), "{answer}");
    // The nearest hop that is no proxy is the client, whatever it says of others.
    let answer = call(server.address(), "inside", &spoofed);
    assert!(answer.to_string().contains("Elsewhere"), "{answer}");
    server.stop();
    let records: Vec<Value> = serde_json::from_str(&trusting.mxcp(&["log", "--json"])).unwrap();
    let addresses = records.iter().filter(|record| record["operation_type"] == "tool");
    let addresses: Vec<&Value> = addresses.map(|record| &record["client"]["ip"]).collect();
    assert_eq!(addresses, ["198.51.100.7", "203.0.113.9"]);
    let other = project(&json!({}), &none());
    let server = serve(&other, &[]);
    let answer = call(server.address(), "inside", &said);
    assert!(answer.to_string().contains("Elsewhere"), "{answer}");
}

#[test]
fn a_policy_sees_whether_there_is_a_session() {
    let project = project(&json!({}), &none());
    let server = serve(&project, &[]);
    let answer = call(server.address(), "seated", &[]);
    assert!(answer.to_string().contains("No session"), "{answer}");
    let mut connection = Connection::open(server.address());
    let reply = connection.rpc(&[], &initialize("2025-11-25"));
    let session = reply.header("mcp-session-id").unwrap().to_owned();
    let headers = [("MCP-Protocol-Version", "2025-11-25"), ("Mcp-Session-Id", &*session)];
    let message = json!({
        "jsonrpc": "2.0", "id": 2, "method": "tools/call",
        "params": { "name": "seated", "arguments": {} },
    });
    let answer = connection.rpc(&headers, &message).json();
    assert!(is_answered(&answer), "{answer}");
}
