/// What a descriptor is ready for.
package struct Readiness: OptionSet, Sendable {
    /// The set as bits.
    package let rawValue: UInt8

    /// A set from bits.
    package init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    /// Bytes, or the end of the stream, can be read.
    package static let readable = Readiness(rawValue: 1)
    /// Bytes can be written, or connecting came to its end.
    package static let writable = Readiness(rawValue: 2)
    /// The peer will send no more.
    package static let peerClosed = Readiness(rawValue: 4)
    /// Both directions are gone, by an error or a full close.
    package static let hungUp = Readiness(rawValue: 8)

    // Plain tests of bits: the generic set operations are not specialised across modules, and cost
    // 6 % of a request's time.

    /// Whether reading will find something: bytes, an end or an error.
    package var allowsReading: Bool { rawValue & 13 != 0 }
    /// Whether writing may go on.
    package var allowsWriting: Bool { rawValue & 2 != 0 }
    /// Whether the peer's end is in sight.
    package var showsEnd: Bool { rawValue & 12 != 0 }
    /// Whether both directions are gone.
    package var showsHangUp: Bool { rawValue & 8 != 0 }
}

/// Whoever owns a descriptor that the loop watches.
///
/// The loop holds its handlers; after `remove` none of these is called any more, not even for an
/// event that the kernel had already reported.
package protocol EventHandler: AnyObject {
    /// The descriptor's readiness changed. Edge-triggered sources hear of each change once.
    func ready(_ readiness: Readiness)
    /// The turn that was asked for with `resumeLater` has come.
    func resume()
    /// The deadline passed that was set with `setDeadline`; it is no longer set.
    func deadlineReached()
}

extension EventHandler {
    /// By default nothing was asked for.
    package func resume() {}
    /// By default no deadline is set.
    package func deadlineReached() {}
}

/// A handler's place in a loop. A number that was given back is never valid again: the slot's
/// generation changes with each use.
package struct Registration: Hashable, Sendable, BitwiseCopyable {
    let slot: UInt32
    let generation: UInt32

    /// No place.
    package static let none = Registration(slot: .max, generation: 0)

    /// Generations have 31 bits: the loop marks the handlers that it tells first with the highest.
    static let maxGeneration: UInt32 = 0x7fff_ffff

    var bits: UInt64 { UInt64(generation) &<< 32 | UInt64(slot) }

    init(slot: UInt32, generation: UInt32) {
        self.slot = slot
        self.generation = generation
    }

    init(bits: UInt64) {
        slot = UInt32(truncatingIfNeeded: bits)
        generation = UInt32(truncatingIfNeeded: bits &>> 32) & Registration.maxGeneration
    }
}
