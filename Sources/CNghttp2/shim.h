/* nghttp2 for Swift. The frame is a union, whose members Swift would read through copies of the whole;
 * the functions below read one member each. The others build what nghttp2 copies during the call. */
#pragma once

#include <nghttp2/nghttp2.h>

static inline uint8_t cnghttp2_type(const nghttp2_frame *frame) { return frame->hd.type; }
static inline uint8_t cnghttp2_flags(const nghttp2_frame *frame) { return frame->hd.flags; }
static inline int32_t cnghttp2_stream(const nghttp2_frame *frame) { return frame->hd.stream_id; }

/* Of HEADERS: whether the block is a request's head and opens a stream. */
static inline int cnghttp2_is_request(const nghttp2_frame *frame) {
    return frame->headers.cat == NGHTTP2_HCAT_REQUEST;
}

/* Of GOAWAY. */
static inline int32_t cnghttp2_goaway_last_stream(const nghttp2_frame *frame) {
    return frame->goaway.last_stream_id;
}
static inline uint32_t cnghttp2_goaway_code(const nghttp2_frame *frame) {
    return frame->goaway.error_code;
}

/* Submits a response; `read` is NULL where nothing follows the head. */
static inline int cnghttp2_submit_response(
    nghttp2_session *session, int32_t stream, const nghttp2_nv *fields, size_t count,
    nghttp2_data_source_read_callback read) {
    nghttp2_data_provider body = {{0}, read};
    return nghttp2_submit_response(session, stream, fields, count, read ? &body : NULL);
}

/* Submits a request; `read` is NULL where nothing follows the head. Returns the stream's number, or
 * an error below 0. */
static inline int32_t cnghttp2_submit_request(
    nghttp2_session *session, const nghttp2_nv *fields, size_t count,
    nghttp2_data_source_read_callback read, void *stream_data) {
    nghttp2_data_provider body = {{0}, read};
    return nghttp2_submit_request(session, NULL, fields, count, read ? &body : NULL, stream_data);
}
