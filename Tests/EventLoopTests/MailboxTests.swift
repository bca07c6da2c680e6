import EventLoop
import Testing

@Suite struct MailboxTests {
    private struct Letter: Sendable {
        let poster: Int
        let number: Int
    }

    private let loop: EventLoop

    init() throws {
        loop = try EventLoop()
    }

    @Test("Messages of many threads all arrive, each thread's in its order")
    func manyPosters() throws {
        let (posters, letters) = (8, 5000)
        let mailbox = try Mailbox<Letter>()
        var next = [Int](repeating: 0, count: posters)
        var isInOrder = true
        let reader = try MailboxReader(loop: loop, mailbox: mailbox) { letter in
            isInOrder = isInOrder && next[letter.poster] == letter.number
            next[letter.poster] += 1
        }
        // Nobody joins them: that all of their messages came is what is waited for.
        for poster in 0..<posters {
            _ = try Thread.start(name: "poster") {
                for number in 0..<letters { mailbox.post(Letter(poster: poster, number: number)) }
            }
        }
        #expect(loop.turns { next.reduce(0, +) == posters * letters })
        #expect(isInOrder)
        withExtendedLifetime(reader) {}
    }

    @Test("Many messages wake the loop once")
    func oneWake() throws {
        let mailbox = try Mailbox<Int>()
        var received: [Int] = []
        let reader = try MailboxReader(loop: loop, mailbox: mailbox) { received.append($0) }
        for number in 0..<100 { mailbox.post(number) }
        #expect(received.isEmpty, "handed over in a turn only")
        loop.turn(maxWait: 1000)
        #expect(received == Array(0..<100))
        let start = Instant.now
        loop.turn(maxWait: 20)
        #expect(Instant.now.milliseconds(since: start) >= 19, "nothing is left to wake for")
        #expect(received.count == 100)
        withExtendedLifetime(reader) {}
    }

    @Test("A message posted while messages are handed over comes in a turn of its own")
    func postedMeanwhile() throws {
        let mailbox = try Mailbox<Int>()
        var received: [Int] = []
        let reader = try MailboxReader(loop: loop, mailbox: mailbox) { number in
            received.append(number)
            if number < 5 { mailbox.post(number + 1) }
        }
        mailbox.post(1)
        for turn in 1...5 {
            loop.turn(maxWait: 1000)
            #expect(received == Array(1...turn))
        }
        withExtendedLifetime(reader) {}
    }

    @Test("What was posted before anybody reads is not lost")
    func beforeReader() throws {
        let mailbox = try Mailbox<Int>()
        mailbox.post(1)
        mailbox.post(2)
        var received: [Int] = []
        let reader = try MailboxReader(loop: loop, mailbox: mailbox) { received.append($0) }
        loop.turn(maxWait: 1000)
        #expect(received == [1, 2])
        withExtendedLifetime(reader) {}
    }

    @Test("A loop that waits without bound is woken from another thread, again and again")
    func wakesSleeper() throws {
        let (there, back) = (try Mailbox<Int>(), try Mailbox<Int>())
        let rounds = 1000
        let thread = try Thread.start(name: "echo") {
            guard let loop = try? EventLoop() else { return }
            let reader = try? MailboxReader(loop: loop, mailbox: there) { number in
                back.post(number)
                if number == rounds { loop.stop() }
            }
            loop.run()
            withExtendedLifetime(reader) {}
        }
        var last = 0
        let reader = try MailboxReader(loop: loop, mailbox: back) { [loop] number in
            last = number
            if number == rounds { loop.stop() } else { there.post(number + 1) }
        }
        there.post(1)
        loop.run()
        thread.join()
        #expect(last == rounds)
        withExtendedLifetime(reader) {}
    }

    @Test("A name is looked up in a thread, and the loop goes on meanwhile")
    func resolutionOffTheLoop() throws {
        let mailbox = try Mailbox<[SocketAddress]>()
        var answer: [SocketAddress]?
        let reader = try MailboxReader(loop: loop, mailbox: mailbox) { answer = $0 }
        let handler = ScriptedHandler()
        let registration = loop.addTimer(handler: handler)
        handler.onResume = { [loop] in
            if answer == nil { loop.resumeLater(registration) }
        }
        loop.resumeLater(registration)
        loop.turn(maxWait: 0)
        _ = try Thread.start(name: "resolver") {
            mailbox.post((try? Resolver.addresses(of: "localhost", port: 80)) ?? [])
        }
        #expect(loop.turns { answer != nil })
        #expect(answer?.isEmpty == false)
        #expect(handler.resumes > 1)
        withExtendedLifetime(reader) {}
    }
}
