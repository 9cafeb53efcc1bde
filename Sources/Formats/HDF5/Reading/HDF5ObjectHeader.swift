/// An object's header: its messages, from all the blocks that it is made of.
///
/// Source: HDF5 file format specification 3.0, IV.A.1, "Disk Format: Level 2A1 - Data Object Header Prefix".
struct HDF5ObjectHeader {
    /// The kinds of messages (IV.A.2).
    enum Kind: Int {
        case nothing = 0
        case dataspace, linkInfo, datatype, oldFillValue, fillValue, link, externalFiles, dataLayout
        case groupInfo = 0xA
        case filterPipeline, attribute, comment, oldTime, sharedTable, continuation, symbolTable, time
        case treeSizes, driverInfo, attributeInfo, referenceCount, freeSpace, cache
    }

    /// A message; its body ends where the next one begins.
    struct Message {
        /// What it is.
        let kind: Kind
        /// What follows its header.
        let body: HDF5Cursor
    }

    /// The messages of known kinds, in the order in which they stand.
    private(set) var messages: [Message] = []
    private var continuations: [(address: Int, count: Int)] = []
    private let isFirst: Bool
    private var order = 0

    private static let name = "an object's header"

    /// Reads the header at an address.
    init(at address: Int, in reader: inout HDF5Reader) throws(UserFacingError) {
        try reader.visit(address, Self.name)
        var mark = try reader.bytes(at: address, count: 4, Self.name)
        isFirst = try !mark.take(4).elementsEqual("OHDR".utf8)
        if isFirst {
            try add(Self.firstBlock(at: address, in: &reader))
        } else {
            try add(secondBlock(at: address, in: &reader))
        }
        var done = 0
        while done < continuations.count {
            let next = continuations[done]
            done += 1
            try reader.visit(next.address, Self.name)
            var block = try reader.bytes(at: next.address, count: next.count, Self.name)
            if isFirst {
                try add(block)
            } else {
                var summed = try block.summed(block.left - 4)
                guard try summed.take(4).elementsEqual("OCHK".utf8) else {
                    throw .damagedHDF5("\(Self.name) goes on at byte \(next.address), where no part of it is")
                }
                try add(summed)
            }
        }
    }

    /// The messages in the first block of version 1.
    private static func firstBlock(
        at address: Int, in reader: inout HDF5Reader
    ) throws(UserFacingError) -> HDF5Cursor {
        var prefix = try reader.bytes(at: address, count: 16, name)
        _ = try prefix.version(1...1)
        _ = try prefix.take(7)
        return try reader.bytes(at: address + 16, count: prefix.number(4), name)
    }

    /// The messages in the first block of version 2; what stands before them decides how long they are.
    private mutating func secondBlock(
        at address: Int, in reader: inout HDF5Reader
    ) throws(UserFacingError) -> HDF5Cursor {
        var start = try reader.bytes(at: address, count: 6, Self.name)
        try start.expect("OHDR", version: 2)
        let flags = try start.number(1)
        order = flags & 4 != 0 ? 2 : 0
        let skipped = 6 + (flags & 0x20 != 0 ? 16 : 0) + (flags & 0x10 != 0 ? 4 : 0)
        let width = 1 << (flags & 3)
        var prefix = try reader.bytes(at: address, count: skipped + width, Self.name)
        _ = try prefix.take(skipped)
        let count = try prefix.number(width)
        guard count <= reader.file.size else { throw .damagedHDF5("\(Self.name) has \(count) bytes") }
        var whole = try reader.bytes(at: address, count: skipped + width + count + 4, Self.name)
        var block = try whole.summed(skipped + width + count)
        _ = try block.take(skipped + width)
        return block
    }

    /// Adds the messages of a block.
    private mutating func add(_ block: HDF5Cursor) throws(UserFacingError) {
        var block = block
        let headerSize = isFirst ? 8 : 4 + order
        while isFirst ? block.left > 0 : block.left >= headerSize {
            let number = try block.number(isFirst ? 2 : 1)
            let count = try block.number(2)
            let flags = try block.number(1)
            _ = try block.take(isFirst ? 3 : order)
            guard !isFirst || count.isMultiple(of: 8) else {
                throw .damagedHDF5("\(Self.name) has a message of \(count) bytes")
            }
            var body = try block.part(count, "message \(number) of \(Self.name)")
            guard flags & 2 == 0 else { throw .hdf5Storage("described by a message that is kept elsewhere") }
            switch Kind(rawValue: number) {
            case .continuation: continuations.append((try body.address(), try body.length()))
            case let kind?: messages.append(Message(kind: kind, body: body))
            // A newer library's message may say that who does not know it must not go on.
            case nil:
                guard flags & 0x80 == 0 else {
                    throw .hdf5Storage("described by the unknown message \(number)")
                }
            }
        }
    }

    /// The messages of a kind.
    func all(_ kind: Kind) -> [HDF5Cursor] { messages.filter { $0.kind == kind }.map(\.body) }

    /// The message of a kind of which there is one at most.
    func one(_ kind: Kind) throws(UserFacingError) -> HDF5Cursor? {
        let found = all(kind)
        guard found.count < 2 else {
            throw .damagedHDF5("\(Self.name) has \(found.count) messages of one kind")
        }
        return found.first
    }
}
