//! gRPC as tonic speaks it, client and server, through a road with HTTP/2 on both sides: four kinds of calls, errors in
//! trailers, deadlines.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::thread;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use evenkeel_core::noun::Protocol;
use evenkeel_core::routes::InstanceHttp;
use evenkeel_proxy::road::RoadConfig;
use http::uri::PathAndQuery;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio_stream::{Stream, StreamExt};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{ClientStreamingService, ServerStreamingService, StreamingService, UnaryService};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status, Streaming};

use crate::h2_rig::{run, until};
use crate::rig::{Rig, address, eventually};

/// Messages that are bytes: nothing is to be known of protocol buffers.
#[derive(Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

type Later<T> = Pin<Box<dyn Future<Output = Result<Response<T>, Status>> + Send>>;
type Many = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;

/// What the server does.
struct Service;

impl UnaryService<Bytes> for Service {
    type Response = Bytes;
    type Future = Later<Bytes>;

    fn call(&mut self, asked: Request<Bytes>) -> Later<Bytes> {
        let said = asked.into_inner();
        match &said[..] {
            b"fail" => Box::pin(ready(Err(Status::not_found("no such thing: \u{e9}")))),
            b"sleep" => Box::pin(std::future::pending()),
            _ => Box::pin(ready(Ok(Response::new(said)))),
        }
    }
}

impl ServerStreamingService<Bytes> for Service {
    type Response = Bytes;
    type ResponseStream = Many;
    type Future = Later<Many>;

    fn call(&mut self, asked: Request<Bytes>) -> Later<Many> {
        let said = asked.into_inner();
        let parts = (0..100).map(move |_| Ok(said.clone())).chain([Err(Status::data_loss("the last"))]);
        Box::pin(ready(Ok(Response::new(Box::pin(tokio_stream::iter(parts)) as Many))))
    }
}

impl ClientStreamingService<Bytes> for Service {
    type Response = Bytes;
    type Future = Later<Bytes>;

    fn call(&mut self, asked: Request<Streaming<Bytes>>) -> Later<Bytes> {
        Box::pin(async move {
            let (mut said, mut total) = (asked.into_inner(), 0);
            while let Some(part) = said.message().await? {
                total += part.len();
            }
            Ok(Response::new(total.to_string().into()))
        })
    }
}

impl StreamingService<Bytes> for Service {
    type Response = Bytes;
    type ResponseStream = Many;
    type Future = Later<Many>;

    fn call(&mut self, asked: Request<Streaming<Bytes>>) -> Later<Many> {
        Box::pin(ready(Ok(Response::new(Box::pin(asked.into_inner()) as Many))))
    }
}

async fn answer(request: http::Request<Incoming>) -> Result<http::Response<tonic::body::Body>, Infallible> {
    let mut grpc = tonic::server::Grpc::new(Raw);
    Ok(match request.uri().path() {
        "/test/unary" => grpc.unary(Service, request).await,
        "/test/down" => grpc.server_streaming(Service, request).await,
        "/test/up" => grpc.client_streaming(Service, request).await,
        _ => grpc.streaming(Service, request).await,
    })
}

fn server() -> SocketAddr {
    let listener = std::net::TcpListener::bind((address(), 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let at = listener.local_addr().unwrap();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((tcp, _)) = listener.accept().await {
                let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                tokio::spawn(connection.serve_connection(TokioIo::new(tcp), hyper::service::service_fn(answer)));
            }
        });
    });
    at
}

fn path(name: &'static str) -> PathAndQuery {
    PathAndQuery::from_static(name)
}

async fn grpc(rig: &Rig) -> tonic::client::Grpc<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{}", rig.address())).unwrap();
    let mut grpc = tonic::client::Grpc::new(endpoint.connect().await.unwrap());
    grpc.ready().await.unwrap();
    grpc
}

#[test]
fn every_kind_of_call_passes() {
    let mut rig = Rig::with(&[], Protocol::Http, RoadConfig { workers: 1, ..RoadConfig::default() });
    rig.add_target("a", server());
    rig.routes.listeners[0].http2 = true;
    rig.routes.listeners[0].instance_http = InstanceHttp::Two;
    rig.publish();
    run(async {
        let mut grpc = grpc(&rig).await;
        let said = grpc.unary(Request::new(Bytes::from("hello")), path("/test/unary"), Raw).await.unwrap();
        assert_eq!(said.into_inner(), "hello");

        // An error is a status in trailers, with nothing before it.
        grpc.ready().await.unwrap();
        let failed = grpc.unary(Request::new(Bytes::from("fail")), path("/test/unary"), Raw).await.unwrap_err();
        assert_eq!((failed.code(), failed.message()), (Code::NotFound, "no such thing: \u{e9}"));

        grpc.ready().await.unwrap();
        let part = Bytes::from(vec![b'x'; 20_000]);
        let down = grpc.server_streaming(Request::new(part.clone()), path("/test/down"), Raw).await.unwrap();
        let (mut down, mut count) = (down.into_inner(), 0);
        let last = loop {
            match down.message().await {
                Ok(message) => {
                    assert_eq!(message, Some(part.clone()));
                    count += 1;
                }
                Err(status) => break status,
            }
        };
        assert_eq!((count, last.code(), last.message()), (100, Code::DataLoss, "the last"));

        grpc.ready().await.unwrap();
        let parts = tokio_stream::iter(vec![part.clone(); 50]);
        let total = grpc.client_streaming(Request::new(parts), path("/test/up"), Raw).await.unwrap();
        assert_eq!(total.into_inner(), "1000000");

        // Each message is answered before the next is sent.
        grpc.ready().await.unwrap();
        let (send, parts) = tokio::sync::mpsc::channel(1);
        let parts = tokio_stream::wrappers::ReceiverStream::new(parts);
        let mut both = grpc.streaming(Request::new(parts), path("/test/both"), Raw).await.unwrap().into_inner();
        for n in 0..20 {
            let message = Bytes::from(n.to_string());
            send.send(message.clone()).await.unwrap();
            assert_eq!(both.next().await.unwrap().unwrap(), message);
        }
        drop(send);
        assert!(both.next().await.is_none());

        // Whoever gives up leaves nothing behind.
        grpc.ready().await.unwrap();
        let mut late = Request::new(Bytes::from("sleep"));
        late.set_timeout(Duration::from_millis(300));
        let late = grpc.unary(late, path("/test/unary"), Raw).await.unwrap_err();
        assert!(matches!(late.code(), Code::Cancelled | Code::DeadlineExceeded), "{late}");
        until("the call is given up", || rig.meters().open_streams == 0).await;
        grpc.ready().await.unwrap();
        let said = grpc.unary(Request::new(Bytes::from("after")), path("/test/unary"), Raw).await.unwrap();
        assert_eq!(said.into_inner(), "after");
    });
    eventually("nothing is left", || rig.meters().open_clients == 0 && rig.meters().open_streams == 0);
}
