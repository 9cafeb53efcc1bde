/// The heap in which a group has the names of its links (III.D).
struct HDF5LocalHeap {
    private let bytes: [UInt8]
    /// Where zero bytes end names.
    private let ends: [Int]

    private static let name = "a heap of names"

    /// Reads the heap at an address, and checks its list of free blocks.
    init(at address: Int, in checker: inout HDF5Checker) throws(HDF5Refusal) {
        try checker.visit(address, Self.name)
        let sizes = checker.superblock.sizes
        var prefix = try checker.bytes(
            at: address, count: 8 + 2 * sizes.length + sizes.address, Self.name)
        try prefix.expect("HEAP", version: 0)
        _ = try prefix.take(3)
        let size = try prefix.length()
        let free = try prefix.word(sizes.length)
        var data = try checker.bytes(at: prefix.address(), count: size, Self.name)
        bytes = Array(try data.take(size))
        ends = bytes.indices.filter { [bytes] in bytes[$0] == 0 }
        try checkFree(from: free, sizes: sizes)
    }

    /// Follows the free blocks, each of which says where the next is; 1 ends the list.
    private func checkFree(from first: UInt64, sizes: HDF5Sizes) throws(HDF5Refusal) {
        var (next, left) = (first, bytes.count / (2 * sizes.length))
        while next != 1 {
            guard let place = Int(exactly: next), place <= bytes.count, left > 0 else {
                throw .damaged("\(Self.name) has free blocks beyond its end, or in a circle")
            }
            var block = HDF5Cursor(bytes[place...], Self.name, sizes: sizes)
            next = try block.word(sizes.length)
            guard try block.length() <= bytes.count - place else {
                throw .damaged("\(Self.name) has a free block beyond its end")
            }
            left -= 1
        }
    }

    /// The name at an offset, which ends inside the heap.
    func name(at offset: Int) throws(HDF5Refusal) -> ArraySlice<UInt8> {
        var (low, high) = (0, ends.count)
        while low < high {
            let middle = (low + high) / 2
            if ends[middle] < offset { low = middle + 1 } else { high = middle }
        }
        guard low < ends.count else { throw .damaged("\(Self.name) has no name at \(offset)") }
        return bytes[offset..<ends[low]]
    }
}
