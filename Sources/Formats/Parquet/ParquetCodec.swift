internal import CSnappy
internal import CZlib
internal import CZstd

/// How the pages of a column are packed.
enum ParquetCodec: Int, Sendable {
    case none, snappy, gzip
    case zstd = 6

    /// The codec of a number in a file.
    static func numbered(_ number: Int) throws(ParquetFault) -> ParquetCodec {
        if let codec = ParquetCodec(rawValue: number) { return codec }
        let names = [3: "LZO", 4: "BROTLI", 5: "LZ4", 7: "LZ4_RAW"]
        throw .unsupported("pages packed by \(names[number] ?? "codec \(number)")")
    }

    /// How many bytes one packed byte can stand for at most, so that a false size takes no memory: zlib's technical
    /// details; Snappy's longest copy is 64 bytes of 3; Zstandard's smallest block gives 128 KiB of 4.
    private var mostOfOne: Int {
        switch self {
        case .none: 1
        case .snappy: 22
        case .gzip: 1032
        case .zstd: 32768
        }
    }

    /// Unpacks the bytes from `start` on, which have to give `count` bytes.
    func unpack(_ bytes: [UInt8], from start: Int, count: Int) throws(ParquetFault) -> [UInt8] {
        let packed = bytes.count - start
        guard count >= 0, count <= packed * mostOfOne + 64 else {
            throw .damaged("a page of \(packed) bytes can't hold \(count)")
        }
        guard self != .none else {
            guard count == packed else {
                throw .damaged("a page that is not packed has \(packed) of \(count) bytes")
            }
            return start == 0 ? bytes : Array(bytes[start...])
        }
        guard count > 0 || packed > 0 else { return [] }
        var made: Int?
        let unpacked = unsafe [UInt8](unsafeUninitializedCapacity: max(count, 1)) { room, initialized in
            unsafe bytes.withUnsafeBytes { whole in
                let input = unsafe UnsafeRawBufferPointer(rebasing: whole[start...])
                made = unsafe fill(
                    UnsafeMutableRawBufferPointer(start: room.baseAddress, count: count), from: input)
            }
            initialized = made == count ? count : 0
        }
        guard made == count else { throw .damaged("a page can't be unpacked by \(self)") }
        return unpacked
    }

    /// Fills the room; nil where the bytes are damaged or do not fit in.
    private func fill(_ room: UnsafeMutableRawBufferPointer, from input: UnsafeRawBufferPointer) -> Int? {
        switch self {
        case .none: return nil
        case .snappy:
            let packed = unsafe input.baseAddress?.assumingMemoryBound(to: CChar.self)
            var count = 0
            // Snappy asks for room before it looks at the bytes; an empty text has one byte for its size.
            guard unsafe snappy_uncompressed_length(packed, input.count, &count) == SNAPPY_OK,
                count == room.count
            else { return nil }
            let output = unsafe room.baseAddress?.assumingMemoryBound(to: CChar.self)
            return unsafe snappy_uncompress(packed, input.count, output, &count) == SNAPPY_OK ? count : nil
        case .gzip: return unsafe Self.inflate(room, from: input)
        case .zstd:
            let count = unsafe ZSTD_decompress(room.baseAddress, room.count, input.baseAddress, input.count)
            return ZSTD_isError(count) != 0 ? nil : count
        }
    }

    /// Unpacks members of gzip, or of zlib, that follow each other.
    private static func inflate(
        _ room: UnsafeMutableRawBufferPointer, from input: UnsafeRawBufferPointer
    ) -> Int? {
        guard input.count <= Int32.max, room.count <= Int32.max else { return nil }
        // zlib's state must not change its place.
        let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        unsafe stream.initialize(to: z_stream())
        defer { unsafe stream.deallocate() }
        // 15 bits of window, and 32 for whichever of the two forms is there.
        let status = unsafe inflateInit2_(stream, 47, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        guard status == Z_OK else { return nil }
        defer { unsafe inflateEnd(stream) }
        unsafe stream.pointee.next_in = UnsafeMutablePointer(
            mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
        unsafe stream.pointee.avail_in = UInt32(input.count)
        unsafe stream.pointee.next_out = room.baseAddress?.assumingMemoryBound(to: UInt8.self)
        unsafe stream.pointee.avail_out = UInt32(room.count)
        while true {
            guard unsafe CZlib.inflate(stream, Z_FINISH) == Z_STREAM_END else { return nil }
            guard unsafe stream.pointee.avail_in > 0 else {
                return unsafe room.count - Int(stream.pointee.avail_out)
            }
            guard unsafe inflateReset(stream) == Z_OK else { return nil }
        }
    }

    /// The checksum of bytes that a page may have (RFC 1952).
    static func checksum(_ bytes: [UInt8]) -> UInt32 {
        UInt32(truncatingIfNeeded: unsafe crc32_z(0, bytes, bytes.count))
    }
}
