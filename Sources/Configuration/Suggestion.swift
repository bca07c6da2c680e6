/// The known word that a mistyped one was meant to be.
enum Suggestion {
    /// `did you mean "…"?`, or nil where nothing is near.
    static func hint(for word: String, among known: [String]) -> String? {
        var best: (distance: Int, word: String)?
        for candidate in known {
            let distance = self.distance(
                Array(word.lowercased().utf8), Array(candidate.lowercased().utf8))
            // Beyond every fourth letter it is another word.
            guard distance <= (candidate.utf8.count + 2) / 4, distance < best?.distance ?? .max
            else { continue }
            best = (distance, candidate)
        }
        return best.map { "did you mean \"\($0.word)\"?" }
    }

    /// How many insertions, deletions, replacements and swaps of neighbours lie between two words.
    private static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        // Names in a configuration are short; what is not is no mistyped name.
        guard left.count <= 64, right.count <= 64 else { return .max }
        var rows = [[Int]](
            repeating: [Int](repeating: 0, count: right.count + 1), count: left.count + 1)
        for i in 0...left.count { rows[i][0] = i }
        for j in 0...right.count { rows[0][j] = j }
        for i in 0..<left.count {
            for j in 0..<right.count {
                let replaced = rows[i][j] + (left[i] == right[j] ? 0 : 1)
                var least = min(replaced, rows[i][j + 1] + 1, rows[i + 1][j] + 1)
                if i > 0, j > 0, left[i] == right[j - 1], left[i - 1] == right[j] {
                    least = min(least, rows[i - 1][j - 1] + 1)
                }
                rows[i + 1][j + 1] = least
            }
        }
        return rows[left.count][right.count]
    }
}
