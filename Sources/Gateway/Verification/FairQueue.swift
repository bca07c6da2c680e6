internal import EventLoop

/// By whom what waits is told apart: one sender shall not take the turns of the others.
enum SenderKey: Hashable, Sendable {
    case v4(UInt32)
    /// An IPv6 network of 64 bits: what one subscriber has, at least.
    case v6(network: UInt64)
    /// A proxy whose many clients come from one address, or a unix socket's peer: each connection
    /// by itself.
    case connection(ObjectIdentifier)

    init(_ client: Client) {
        guard !client.isTrusted, let address = client.ip?.unmapped else {
            self = .connection(ObjectIdentifier(client))
            return
        }
        switch address {
        case .v4(let bits): self = .v4(bits)
        case .v6(let high, _): self = .v6(network: high)
        }
    }
}

/// A bounded queue that serves senders in turn: each gets one element out, in the order in which it
/// brought them, before anyone gets a second.
///
/// A sender may have as many elements waiting as there are places left, and never more than
/// `maxPerSender`: one that takes all it can get leaves half of the places to the others, two leave
/// a third, and so on. The same holds for what the elements weigh, so that few heavy ones do not
/// keep out the light ones of others.
struct FairQueue<Element> {
    /// What one sender has waiting.
    private struct Line {
        var sender: SenderKey
        var elements = FIFO<(element: Element, weight: Int)>()
        var weight = 0

        mutating func popFirst() -> (element: Element, weight: Int)? {
            guard let first = elements.popFirst() else { return nil }
            weight -= first.weight
            return first
        }
    }

    private let maxCount: Int
    private let maxPerSender: Int
    private let maxWeight: Int
    private var lines: [Line] = []
    /// Lines that nobody has now.
    private var freeLines: [Int] = []
    /// The line of each sender with something waiting.
    private var places: [SenderKey: Int] = [:]
    /// The lines with something in them, the next one first.
    private var turns = FIFO<Int>()
    /// How many elements wait.
    private(set) var count = 0
    /// What they weigh.
    private var weight = 0

    init(maxCount: Int, maxPerSender: Int, maxWeight: Int = .max) {
        self.maxCount = maxCount
        self.maxPerSender = maxPerSender
        self.maxWeight = maxWeight
    }

    var isEmpty: Bool { count == 0 }

    /// Takes an element in, where the sender may bring another one.
    mutating func append(
        _ element: Element, weighing weight: Int = 0, from sender: SenderKey
    ) -> Bool {
        let known = places[sender]
        let own = known.map { lines[$0].elements.count } ?? 0
        let ownWeight = known.map { lines[$0].weight } ?? 0
        guard own < maxPerSender, own < maxCount - count,
            ownWeight + weight <= maxWeight - self.weight
        else { return false }
        let place = known ?? openLine(for: sender)
        lines[place].elements.append((element, weight))
        lines[place].weight += weight
        count += 1
        self.weight += weight
        return true
    }

    private mutating func openLine(for sender: SenderKey) -> Int {
        let place = freeLines.popLast() ?? lines.count
        if place == lines.count {
            lines.append(Line(sender: sender))
        } else {
            lines[place].sender = sender
        }
        places[sender] = place
        turns.append(place)
        return place
    }

    /// Takes out the element whose turn it is.
    mutating func popFirst() -> Element? {
        guard let place = turns.popFirst(), let (element, weight) = lines[place].popFirst() else {
            return nil
        }
        count -= 1
        self.weight -= weight
        if lines[place].elements.count == 0 {
            places[lines[place].sender] = nil
            freeLines.append(place)
        } else {
            turns.append(place)
        }
        return element
    }
}

/// First in, first out, in one array.
struct FIFO<Element> {
    private var elements: [Element?] = []
    /// How many of them have gone.
    private var gone = 0

    var count: Int { elements.count - gone }

    mutating func append(_ element: Element) { elements.append(element) }

    mutating func popFirst() -> Element? {
        guard gone < elements.count else { return nil }
        let element = elements[gone].take()
        gone += 1
        if gone == elements.count {
            elements.removeAll(keepingCapacity: gone <= 64)
            gone = 0
        } else if gone >= 64, gone * 2 >= elements.count {
            // Half of it is moved once for each time that as many have gone.
            elements.removeFirst(gone)
            gone = 0
        }
        return element
    }
}
