internal import CHDF5

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
    private let opened: hid_t
    private var addresses: [Int: String] = [:]

    /// How many groups may lie inside each other.
    static let deepest = 64

    /// Walks an open file, and checks every object before it is opened.
    init(_ opened: borrowing HDF5Handle, checker: HDF5Checker) throws(HDF5Error) {
        (file, self.checker, self.opened) = (checker.file, checker, opened.id)
        heap = HDF5Heap(file: file, superblock: checker.superblock)
        try visit(at: checker.superblock.root, path: "", depth: 0)
        groups.sort { NaturalOrder.precedes($0.path, $1.path) }
        datasets.sort { NaturalOrder.precedes($0.path, $1.path) }
    }

    /// Opens the object whose header is at an address, and all below it.
    private mutating func visit(at address: Int, path: String, depth: Int) throws(HDF5Error) {
        let contents: HDF5Contents
        do { contents = try checker.check(objectAt: address) } catch {
            throw error.error(file: file.path, path: path, doing: "opened")
        }
        guard let object = HDF5Handle(H5Oopen_by_addr(opened, haddr_t(address))) else {
            throw failure(path, "opened")
        }
        switch CHDF5ObjectKind(object.id) {
        case 0:
            if let first = addresses.updateValue(path, forKey: address) {
                throw .cycle(file: file.path, path: path, first: first)
            }
            let attributes = try HDF5Attribute.all(
                contents.attributes, of: object, at: path, file: file.path, heap: &heap)
            groups.append((path, attributes))
            for link in contents.links { try follow(link, path: path, depth: depth + 1) }
        case 1:
            datasets.append(
                try HDF5Dataset(
                    object, path: path, file: file, address: address, contents: contents,
                    heap: &heap))
        case 2: throw .kind(file: file.path, path: path, found: "a named type")
        default: throw failure(path, "opened")
        }
    }

    private mutating func follow(
        _ link: HDF5Contents.Link, path: String, depth: Int
    ) throws(HDF5Error) {
        let inner = path.isEmpty ? link.name : path + "/" + link.name
        // The library would take such names for paths.
        guard !link.name.isEmpty, link.name != ".", !link.name.contains("/"), !link.name.contains("\0") else {
            throw .link(file: file.path, path: inner, kind: "an unnamed or misnamed")
        }
        guard depth <= Self.deepest else { throw .tooDeep(file: file.path, path: inner) }
        switch (link.kind, link.address) {
        case (0, let address?): try visit(at: address, path: inner, depth: depth)
        case (0, nil): throw .link(file: file.path, path: inner, kind: "an empty")
        case (1, _): throw .link(file: file.path, path: inner, kind: "a soft")
        case (64, _): throw .link(file: file.path, path: inner, kind: "an external")
        default: throw .link(file: file.path, path: inner, kind: "a user-defined")
        }
    }

    private func failure(_ path: String, _ doing: String) -> HDF5Error {
        .library(
            file: file.path, path: path.isEmpty ? "/" : path, doing: doing, reason: HDF5Library.takeError())
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
