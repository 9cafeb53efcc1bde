internal import CHDF5
internal import Glibc

/// Everything in an HDF5 file: its groups and its datasets, each checked.
///
/// Nothing is followed out of the file, and nothing twice: no soft or external link, no group that is reached in
/// two ways. That is what Keras refuses, too (keras/src/saving/saving_lib.py).
struct HDF5Walk {
    /// The attributes of each group by its path; the root's path is empty.
    private(set) var groups: [(path: String, attributes: [HDF5Attribute])] = []
    /// The datasets, in the order of their paths, numbers in them by their value.
    private(set) var datasets: [HDF5Dataset] = []
    private let file: SourceFile
    private var checker: HDF5Checker
    private var heap: HDF5Heap
    private var addresses: [haddr_t: String] = [:]

    /// How many groups may lie inside each other.
    static let deepest = 64

    /// Walks a file whose root group is open, and checks every other object before it is opened.
    init(_ root: borrowing HDF5Handle, checker: HDF5Checker) throws(HDF5Error) {
        (file, self.checker) = (checker.file, checker)
        heap = HDF5Heap(file: file, superblock: checker.superblock)
        addresses[haddr_t(checker.superblock.root)] = ""
        try enter(root, path: "", depth: 0)
        groups.sort { NaturalOrder.precedes($0.path, $1.path) }
        datasets.sort { NaturalOrder.precedes($0.path, $1.path) }
    }

    private mutating func enter(
        _ group: borrowing HDF5Handle, path: String, depth: Int
    ) throws(HDF5Error) {
        guard depth <= Self.deepest else { throw .tooDeep(file: file.path, path: path) }
        groups.append((path, try HDF5Attribute.all(of: group, at: path, file: file.path, heap: &heap)))
        let id = group.id
        guard let names = unsafe Self.names({ unsafe CHDF5LinkNames(id, $0) }) else {
            throw failure(path, "listed")
        }
        for name in names {
            let inner = path.isEmpty ? name : path + "/" + name
            // The library takes such names for paths.
            guard !name.isEmpty, name != ".", !name.contains("/") else {
                throw .link(file: file.path, path: inner, kind: "an unnamed or misnamed")
            }
            var address: haddr_t = 0
            switch unsafe CHDF5LinkKind(id, name, &address) {
            case 0: try visit(name, of: group, path: inner, address: address, depth: depth)
            case 1: throw .link(file: file.path, path: inner, kind: "a soft")
            case 64: throw .link(file: file.path, path: inner, kind: "an external")
            case let kind where kind < 0: throw failure(inner, "found")
            default: throw .link(file: file.path, path: inner, kind: "a user-defined")
            }
        }
    }

    private mutating func visit(
        _ name: String, of group: borrowing HDF5Handle, path: String, address: haddr_t, depth: Int
    ) throws(HDF5Error) {
        do { try checker.check(objectAt: Int(clamping: address)) } catch {
            throw error.error(file: file.path, path: path, doing: "opened")
        }
        guard let object = unsafe HDF5Handle(H5Oopen(group.id, name, CHDF5Default())) else {
            throw failure(path, "opened")
        }
        switch CHDF5ObjectKind(object.id) {
        case 0:
            if let first = addresses.updateValue(path, forKey: address) {
                throw .cycle(file: file.path, path: path, first: first)
            }
            try enter(object, path: path, depth: depth + 1)
        case 1:
            datasets.append(try HDF5Dataset(object, path: path, file: file, address: address, heap: &heap))
        case 2: throw .kind(file: file.path, path: path, found: "a named type")
        default: throw failure(path, "opened")
        }
    }

    private func failure(_ path: String, _ doing: String) -> HDF5Error {
        .library(
            file: file.path, path: path.isEmpty ? "/" : path, doing: doing, reason: HDF5Library.takeError())
    }

    /// The names that the library lists; nil when it fails.
    static func names(_ list: (UnsafeMutablePointer<CHDF5Names>) -> Int32) -> [String]? {
        var names = unsafe CHDF5Names(bytes: nil, count: 0, capacity: 0)
        let status = unsafe list(&names)
        defer { unsafe free(names.bytes) }
        guard status >= 0 else { return nil }
        let bytes = unsafe UnsafeRawBufferPointer(start: names.bytes, count: names.count)
        let ended = unsafe bytes.split(separator: 0, omittingEmptySubsequences: false).dropLast()
        return unsafe ended.map { unsafe String(decoding: $0, as: UTF8.self) }
    }

    /// The dimensions of a dataspace; nil when it has none or they can't be counted.
    static func shape(of space: borrowing HDF5Handle) -> [Int]? {
        let rank = H5Sget_simple_extent_ndims(space.id)
        guard rank >= 0, rank <= 32 else { return nil }
        var dimensions = [hsize_t](repeating: 0, count: Int(rank))
        guard unsafe H5Sget_simple_extent_dims(space.id, &dimensions, nil) >= 0 else { return nil }
        let shape = dimensions.compactMap { Int(exactly: $0) }
        return shape.count == dimensions.count ? shape : nil
    }
}

/// The order of names in which numbers count by their value: `layer_2` before `layer_10`.
enum NaturalOrder {
    /// Whether one name comes before another.
    static func precedes(_ left: String, _ right: String) -> Bool {
        var (first, second) = (Array(left.utf8)[...], Array(right.utf8)[...])
        while let one = first.first, let other = second.first {
            if isDigit(one), isDigit(other) {
                let (number, another) = (takeNumber(&first), takeNumber(&second))
                if number.count != another.count { return number.count < another.count }
                if !number.elementsEqual(another) { return number.lexicographicallyPrecedes(another) }
            } else if one != other {
                return one < other
            } else {
                first.removeFirst()
                second.removeFirst()
            }
        }
        if first.isEmpty != second.isEmpty { return first.isEmpty }
        return Array(left.utf8).lexicographicallyPrecedes(Array(right.utf8))
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (48...57).contains(byte) }

    /// The digits at the start without leading zeros, taken away.
    private static func takeNumber(_ text: inout ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        let digits = text.prefix(while: isDigit)
        text = text.dropFirst(digits.count)
        return digits.drop { $0 == 48 }
    }
}
