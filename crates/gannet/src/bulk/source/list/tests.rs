use std::task::Waker;

use bytes::Bytes;
use futures_util::stream;
use gannet_core::ErrorKind;

use super::*;
use crate::body::Body;

fn next(source: &mut impl Source) -> Option<Row> {
    match source.poll_next(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(row) => row.unwrap(),
        Poll::Pending => panic!("nothing here waits"),
    }
}

fn post(body: Body) -> Request {
    let mut request = Request::new(Method::POST, Url::parse("http://h/p").unwrap()).unwrap();
    request.body = body;
    request
}

#[test]
fn a_list_gives_its_rows_in_order_and_again() {
    let base = Url::parse("http://base/dir/").unwrap();
    let items = vec!["http://h/a".into(), "b".into(), "http://[".into(), post("body".into()).into()];
    let mut source = ListSource::new(Some(base), items);
    assert_eq!(source.total(), Some(4));
    let rows: Vec<Row> = std::iter::from_fn(|| next(&mut source)).collect();
    let urls: Vec<_> = rows.iter().map(|row| (row.index, &*row.url)).collect();
    assert_eq!(urls, [(0, "http://h/a"), (1, "http://base/dir/b"), (2, "http://["), (3, "http://h/p")]);
    assert_eq!(rows[2].request.as_ref().unwrap_err().kind(), ErrorKind::Url);
    for row in rows.iter().rev() {
        let again = source.recall(row.index, row.place).unwrap();
        assert_eq!(format!("{again:?}"), format!("{row:?}"));
    }
}

#[test]
fn a_body_that_can_be_sent_once_is_given_out_once() {
    let once = Body::stream(stream::iter([Ok(Bytes::from_static(b"x"))]), None);
    let mut source = ListSource::new(None, vec![post(once).into()]);
    assert!(next(&mut source).unwrap().request.is_ok());
    let again = source.recall(0, 0).unwrap();
    assert_eq!(again.request.unwrap_err().kind(), ErrorKind::Request);
    assert_eq!(again.url, "http://h/p");
}

#[test]
fn a_stream_keeps_a_row_until_it_is_finished() {
    let mut source = StreamSource::new(None, stream::iter(["http://h/0", "http://h/1"]));
    assert_eq!(source.total(), Some(2));
    let rows: Vec<Row> = std::iter::from_fn(|| next(&mut source)).collect();
    assert_eq!((rows.len(), source.total(), source.max_parked()), (2, Some(2), Some(10_000)));
    assert_eq!(source.recall(1, rows[1].place).unwrap().url, "http://h/1");
    source.on_finished(1);
    assert!(source.recall(1, rows[1].place).is_err());
    assert_eq!(source.recall(0, rows[0].place).unwrap().url, "http://h/0");
}
