internal import CZlib
internal import CZstd
internal import Glibc

/// How a file is packed, by its first bytes.
enum Packing: String {
    case gzip
    case zstd = "Zstandard"

    /// How it is packed; nil when it is not.
    init?(_ head: ArraySlice<UInt8>) {
        if head.starts(with: [0x1F, 0x8B]) {
            self = .gzip
        } else if head.starts(with: [0x28, 0xB5, 0x2F, 0xFD]) || Self.isSkippable(head) {
            self = .zstd
        } else {
            return nil
        }
    }

    /// Zstandard's frames of metadata, with which a file may begin.
    private static func isSkippable(_ head: ArraySlice<UInt8>) -> Bool {
        head.count >= 4 && head[head.startIndex] & 0xF0 == 0x50
            && head.dropFirst().starts(with: [0x2A, 0x4D, 0x18])
    }

    /// Unpacks a file of any number of members, a part at a time.
    ///
    /// - Throws: ``UserFacingError`` when it is cut off or damaged, and what `write` throws.
    func unpack(_ file: InputFile, _ write: (Span<UInt8>) throws(UserFacingError) -> Void)
        throws(UserFacingError)
    {
        switch self {
        case .gzip: try GzipReader().unpack(file, write)
        case .zstd: try ZstandardReader().unpack(file, write)
        }
    }

    /// How many bytes are taken and given at a time.
    fileprivate static let bufferSize = 1 << 20
}

/// zlib's state of unpacking, which must not change its place.
@safe private struct GzipReader: ~Copyable {
    private let stream: UnsafeMutablePointer<z_stream>

    init() {
        unsafe stream = .allocate(capacity: 1)
        unsafe stream.initialize(to: z_stream())
        // 15 bits of window, and 16 for the form of gzip.
        let status = unsafe inflateInit2_(stream, 31, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        precondition(status == Z_OK, "zlib has no memory")
    }

    deinit {
        unsafe inflateEnd(stream)
        unsafe stream.deallocate()
    }

    func unpack(_ file: InputFile, _ write: (Span<UInt8>) throws(UserFacingError) -> Void)
        throws(UserFacingError)
    {
        var output = [UInt8](repeating: 0, count: Packing.bufferSize)
        var offset = 0
        // Whether a member is open, which is not so between two.
        var isInside = true
        while offset < file.size {
            var input = try file.bytes(at: offset, count: min(Packing.bufferSize, file.size - offset))
            if !isInside {
                // What follows a member is another, or zeros up to the end of a block.
                if input.allSatisfy({ $0 == 0 }) {
                    offset += input.count
                    continue
                }
                unsafe inflateReset(stream)
                isInside = true
            }
            let (used, made, status) = step(&input, &output)
            offset += used
            if made > 0 { try write(output.span.extracting(first: made)) }
            switch status {
            case Z_STREAM_END: isInside = false
            case Z_OK: continue
            default:
                throw .badPackedText(
                    path: file.path, format: "gzip",
                    found: "it is damaged near byte \(offset) of \(file.size)")
            }
        }
        // What is left inside zlib, when the input ended at the same time as the room.
        while isInside {
            var nothing: [UInt8] = []
            let (_, made, status) = step(&nothing, &output)
            if made > 0 { try write(output.span.extracting(first: made)) }
            if status == Z_STREAM_END { return }
            guard made > 0 else {
                throw .badPackedText(
                    path: file.path, format: "gzip", found: "it is cut off after \(file.size) bytes")
            }
        }
    }

    private func step(
        _ input: inout [UInt8], _ output: inout [UInt8]
    ) -> (used: Int, made: Int, status: Int32) {
        let (given, room) = (input.count, output.count)
        return unsafe input.withUnsafeMutableBufferPointer { input in
            unsafe output.withUnsafeMutableBufferPointer { output in
                unsafe stream.pointee.next_in = input.baseAddress
                unsafe stream.pointee.avail_in = UInt32(given)
                unsafe stream.pointee.next_out = output.baseAddress
                unsafe stream.pointee.avail_out = UInt32(room)
                let status = unsafe inflate(stream, Z_NO_FLUSH)
                return unsafe (
                    given - Int(stream.pointee.avail_in), room - Int(stream.pointee.avail_out), status
                )
            }
        }
    }
}

/// Zstandard's state of unpacking.
@safe private struct ZstandardReader: ~Copyable {
    private let stream: OpaquePointer

    init() {
        guard let stream = unsafe ZSTD_createDStream() else { preconditionFailure("Zstandard has no memory") }
        unsafe self.stream = unsafe stream
    }

    deinit { unsafe ZSTD_freeDStream(stream) }

    func unpack(_ file: InputFile, _ write: (Span<UInt8>) throws(UserFacingError) -> Void)
        throws(UserFacingError)
    {
        var output = [UInt8](repeating: 0, count: Packing.bufferSize)
        var offset = 0
        // What is still to come of the open frame; 0 between two.
        var left = 1
        var isFull = false
        while offset < file.size || isFull {
            let input = try file.bytes(at: offset, count: min(Packing.bufferSize, file.size - offset))
            let (used, made, status) = step(input, &output)
            if ZSTD_isError(status) != 0 {
                if ZSTD_getErrorCode(status) == ZSTD_error_frameParameter_windowTooLarge {
                    throw .packedText(
                        path: file.path,
                        format: "packed by Zstandard with --long, so that unpacking takes much memory",
                        advice: "unpack it: zstd -dc --long=31 '\(file.path)' | trainer … -")
                }
                let reason = unsafe String(cString: ZSTD_getErrorName(status))
                throw .badPackedText(
                    path: file.path, format: "Zstandard",
                    found: "near byte \(offset) of \(file.size) it can't be unpacked (\(reason))")
            }
            // Nothing was left after all, and what is to come is a next frame, if there is one.
            if used == 0 && made == 0 { break }
            offset += used
            left = status
            isFull = made == output.count
            if made > 0 { try write(output.span.extracting(first: made)) }
        }
        guard left == 0 else {
            throw .badPackedText(
                path: file.path, format: "Zstandard", found: "it is cut off after \(file.size) bytes")
        }
    }

    private func step(_ input: [UInt8], _ output: inout [UInt8]) -> (used: Int, made: Int, status: Int) {
        let (given, room) = (input.count, output.count)
        return unsafe input.withUnsafeBufferPointer { input in
            unsafe output.withUnsafeMutableBufferPointer { output in
                var source = unsafe ZSTD_inBuffer(src: input.baseAddress, size: given, pos: 0)
                var sink = unsafe ZSTD_outBuffer(dst: output.baseAddress, size: room, pos: 0)
                let status = unsafe ZSTD_decompressStream(stream, &sink, &source)
                return unsafe (source.pos, sink.pos, status)
            }
        }
    }
}
