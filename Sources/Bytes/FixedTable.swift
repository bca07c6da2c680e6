/// A table of a fixed number of plain values behind one pointer.
///
/// An `InlineArray` inside a larger struct was copied whole for each element read (measured: 2,400
/// bytes a read), and an `Array` pays a uniqueness check for each write. This pays a bounds check.
@safe
public struct FixedTable<Element: BitwiseCopyable>: ~Copyable {
    /// Owned: `count` initialised elements, freed in `deinit`.
    @usableFromInline let base: UnsafeMutablePointer<Element>
    /// How many elements there are.
    public let count: Int

    /// A table filled with one value.
    public init(repeating value: Element, count: Int) {
        precondition(count >= 0, "negative count")
        unsafe base = .allocate(capacity: count)
        unsafe base.initialize(repeating: value, count: count)
        self.count = count
    }

    deinit {
        unsafe base.deallocate()
    }

    /// The element at `index`; traps outside of the table.
    @inlinable
    public subscript(index: Int) -> Element {
        @inline(__always) get {
            precondition(index >= 0 && index < count, "index outside of the table")
            return unsafe base[index]
        }
        @inline(__always) nonmutating set {
            precondition(index >= 0 && index < count, "index outside of the table")
            unsafe base[index] = newValue
        }
    }
}
