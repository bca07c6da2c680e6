internal import HTTP2

/// The gateway's streams on one HTTP/2 connection, by the small numbers that the session gives
/// them: found without a search.
struct StreamsBySlot<Stream: AnyObject> {
    private var slots: [Stream?] = []

    /// The stream of a handle; nil where there is none.
    subscript(handle: HTTP2StreamHandle) -> Stream? {
        get { handle.slot < slots.count ? slots[handle.slot] : nil }
        set {
            while slots.count <= handle.slot { slots.append(nil) }
            slots[handle.slot] = newValue
        }
    }

    /// Takes the stream of a handle out.
    mutating func take(_ handle: HTTP2StreamHandle) -> Stream? {
        guard handle.slot < slots.count else { return nil }
        return slots[handle.slot].take()
    }

    /// Calls `body` with each.
    func visit(_ body: (Stream) -> Void) {
        for case let stream? in slots { body(stream) }
    }

    /// Takes all of them out: whoever is told of the end finds none.
    mutating func takeAll() -> [Stream] {
        let all = slots.compactMap { $0 }
        slots.removeAll()
        return all
    }
}
