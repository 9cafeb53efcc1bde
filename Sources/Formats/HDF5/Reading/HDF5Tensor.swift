internal import Synchronization

/// A dataset whose bytes have to be made of what is in the file: unpacked, turned around, or filled in.
struct HDF5Tensor: TensorStorage {
    let name: String
    let dataset: HDF5Dataset
    let file: InputFile
    /// The unpacked chunks of the file's datasets.
    let cache: HDF5ChunkCache

    var type: ElementType { dataset.type }

    var shape: [Int] { dataset.shape }

    var fileRange: FileRange? { nil }

    var fingerprint: String? { "\(file.identity) \(dataset.path)" }

    var origin: TensorOrigin? { TensorOrigin(file: file, offset: dataset.address) }

    func read(_ bytes: Range<Int>, into destination: inout MutableRawSpan) throws(UserFacingError) {
        guard let size = type.byteSize else { preconditionFailure("datasets have whole bytes") }
        switch dataset.layout {
        case .contiguous(let start?):
            try file.read(at: start + bytes.lowerBound, into: &destination)
        case .contiguous(nil):
            Self.copy(unwritten(bytes.count), 0..<bytes.count, to: 0, of: &destination)
        case .chunked(let chunks):
            let elements = bytes.lowerBound / size..<bytes.upperBound / size
            for box in HDF5Block.covering(elements, shape: shape) {
                let place = box.start - elements.lowerBound
                for origin in chunks.covering(box) {
                    try read(box, of: chunks, at: origin, to: place, of: &destination)
                }
            }
        }
        guard dataset.isBigEndian else { return }
        switch size {
        case 2: Self.swap(&destination, as: UInt16.self)
        case 4: Self.swap(&destination, as: UInt32.self)
        default: Self.swap(&destination, as: UInt64.self)
        }
    }

    /// Copies what a box has of a chunk, straight from the file where it lies there as it is.
    private func read(
        _ box: HDF5Block, of chunks: HDF5Chunks, at origin: [Int], to place: Int,
        of destination: inout MutableRawSpan
    ) throws(UserFacingError) {
        let size = chunks.elementSize
        let runs = chunks.runs(of: box, in: origin)
        guard let first = runs.first, let last = runs.last else { return }
        var source = first.source * size..<(last.source + last.count) * size
        let number = chunks.number(of: origin)
        let bytes: [UInt8]
        if let chunk = chunks[number], chunks.filters.isEmpty, chunk.count == chunks.byteCount {
            bytes = try file.bytes(at: chunk.offset + source.lowerBound, count: source.count)
        } else {
            bytes = try cache.chunk(number, of: dataset.path, count: chunks.byteCount) {
                () throws(UserFacingError) in try unpacked(chunks, number, at: origin)
            }
            source = 0..<chunks.byteCount
        }
        for run in runs {
            let start = run.source * size - source.lowerBound
            Self.copy(
                bytes, start..<start + run.count * size, to: (place + run.target) * size, of: &destination)
        }
    }

    /// The bytes of a chunk.
    private func unpacked(
        _ chunks: HDF5Chunks, _ number: Int, at origin: [Int]
    ) throws(UserFacingError) -> [UInt8] {
        guard let chunk = chunks[number] else { return unwritten(chunks.byteCount) }
        let packed = try file.bytes(at: chunk.offset, count: chunk.count)
        guard let bytes = chunks.unpack(packed, mask: chunk.mask, at: origin) else {
            let reason =
                "the chunk at \(origin), byte \(chunk.offset), does not have \(chunks.byteCount) bytes, or not these"
            throw .damagedHDF5(reason).at(dataset.path, of: file).within("tensor '\(name)' can't be read")
        }
        return bytes
    }

    /// Elements that were never written.
    private func unwritten(_ count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        if let fill = dataset.fillValue, fill.contains(where: { $0 != 0 }) {
            for place in bytes.indices { bytes[place] = fill[place % fill.count] }
        }
        return bytes
    }

    private static func copy(
        _ bytes: [UInt8], _ part: Range<Int>, to place: Int, of destination: inout MutableRawSpan
    ) {
        unsafe destination.withUnsafeMutableBytes { target in
            unsafe UnsafeMutableRawBufferPointer(rebasing: target[place..<place + part.count])
                .copyBytes(from: bytes[part])
        }
    }

    /// Turns the bytes of each number around.
    private static func swap<Word: FixedWidthInteger & BitwiseCopyable>(
        _ destination: inout MutableRawSpan, as: Word.Type
    ) {
        unsafe destination.withUnsafeMutableBytes { bytes in
            for place in stride(from: 0, to: bytes.count, by: MemoryLayout<Word>.size) {
                let word = unsafe bytes.loadUnaligned(fromByteOffset: place, as: Word.self)
                unsafe bytes.storeBytes(of: word.byteSwapped, toByteOffset: place, as: Word.self)
            }
        }
    }
}

/// Unpacked chunks of one of a file's datasets: a band of rows lies in several.
final class HDF5ChunkCache: Sendable {
    private struct Chunks {
        var path = ""
        var bytes: [Int: [UInt8]] = [:]
        var count = 0
    }

    private let chunks = Mutex(Chunks())

    /// How many bytes are kept, or one chunk that is larger.
    private static let largest = 32 << 20

    /// The chunk of a number, which has so many bytes and is unpacked where it is not known.
    func chunk(
        _ number: Int, of path: String, count: Int, unpack: () throws(UserFacingError) -> [UInt8]
    ) throws(UserFacingError) -> [UInt8] {
        let known = chunks.withLock { chunks -> [UInt8]? in
            if chunks.path == path, let known = chunks.bytes[number] { return known }
            // Room is made before the chunk takes any.
            if chunks.path != path || chunks.count + count > Self.largest { chunks = Chunks(path: path) }
            return nil
        }
        if let known { return known }
        let bytes = try unpack()
        chunks.withLock { chunks in
            guard chunks.path == path, chunks.bytes.updateValue(bytes, forKey: number) == nil else { return }
            chunks.count += count
        }
        return bytes
    }
}
