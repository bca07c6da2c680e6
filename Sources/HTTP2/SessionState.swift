internal import Bytes

/// What a session is made of, behind one pointer: callbacks and calls reach a part of it without
/// the checks that a class's properties cost.
struct SessionState: ~Copyable {
    /// Small facts, in one value.
    struct Facts {
        /// Where this `receive`'s input begins in memory, to tell ranges from pointers.
        var inputBase: UInt = 0
        /// Bytes that `sink` may hold before sending pauses.
        var limit = 0
        /// GOAWAY was decided: nothing more is read.
        var isOver = false
        /// The peer's settings have come.
        var hasSettings = false
        /// A budget was spent during a callback.
        var isSpent = false
        /// `withArena` runs: the arena stays as and where it is.
        var isArenaInUse = false
        /// The place that the session was given when it came to rest, or -1. It keeps it when it is
        /// busy again.
        var restingPlace = -1
        /// Resets charged as their cause was read, and not yet seen sent.
        var chargedResets = 0
        /// Resets that we asked for and that are not yet sent.
        var ownResets = 0
        /// The stream that was looked up last: several callbacks in a row speak of one.
        var lastID: Int32 = 0
        /// Its slot.
        var lastSlot = 0
    }

    let handle: SessionHandle
    var streams = StreamTable()
    var composer: HeadComposer
    var events = EventQueue()
    var meter: FrameMeter
    var facts = Facts()
    /// Where frames go while nghttp2 is asked for output.
    var sink = ByteBuffer()
    /// Control frames drained at the end of `receive`.
    var early = ByteBuffer()

    init(_ handle: consuming SessionHandle, _ settings: HTTP2Session.Settings) {
        self.handle = handle
        composer = HeadComposer(maxBytes: settings.maxHeadBytes, maxFields: settings.maxFields)
        meter = FrameMeter(isServer: settings.role == .server)
    }
}
