internal import OpenSSL
internal import Synchronization

/// The tables of busy keys, made once and shared by all workers that use them. One that nobody
/// holds any more is gone, as when its key went from all sets.
final class PointTableShelf: Sendable {
    /// Most tables at a time, 150 KB each. Keys beyond that are checked without one.
    private let maxTables: Int

    private struct Place {
        weak let table: PointTable?
    }

    /// Locked while a table is made, so that nobody makes the same one meanwhile: only a thread of
    /// the pool asks, which can wait.
    private let places = Mutex<[Place]>([])

    init(maxTables: Int = 32) {
        self.maxTables = maxTables
    }

    /// How many tables are held by somebody.
    var count: Int {
        places.withLock { places in places.count { $0.table != nil } }
    }

    /// The table of a key; nil where there is no room or it cannot be made. Takes some hundredths
    /// of a second for a new one.
    func table(of key: PublicKey) -> PointTable? {
        places.withLock { places in
            places.removeAll { $0.table == nil }
            for place in places {
                if let table = place.table, table.key == key { return table }
            }
            guard places.count < maxTables, let table = try? PointTable(key) else {
                return nil
            }
            places.append(Place(table: table))
            return table
        }
    }
}
