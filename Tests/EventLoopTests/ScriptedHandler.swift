import EventLoop

/// A handler that writes down what it is told, and does what its test says.
final class ScriptedHandler: EventHandler {
    var seen: [Readiness] = []
    var resumes = 0
    var deadlines = 0
    var onReady: ((Readiness) -> Void)?
    var onResume: (() -> Void)?
    var onDeadline: (() -> Void)?

    /// Everything that was told so far, as one set.
    var all: Readiness { seen.reduce([]) { $0.union($1) } }

    func ready(_ readiness: Readiness) {
        seen.append(readiness)
        onReady?(readiness)
    }

    func resume() {
        resumes += 1
        onResume?()
    }

    func deadlineReached() {
        deadlines += 1
        onDeadline?()
    }
}

extension EventLoop {
    /// Gives turns until a condition holds, for five seconds at most. Returns whether it came true.
    func turns(until condition: () -> Bool) -> Bool {
        let end = Instant.now.advanced(byMilliseconds: 5000)
        while !condition() {
            if Instant.now > end { return false }
            turn(maxWait: 20)
        }
        return true
    }
}
