internal import Formats
internal import Glibc

/// Float32 values in main memory; parts of one buffer share it.
@safe public struct CPUBuffer: EngineBuffer {
    private let allocation: Allocation
    private let offset: Int
    /// How many values it holds.
    public let count: Int

    init(count: Int) throws(UserFacingError) {
        allocation = try Allocation(count: count)
        offset = 0
        self.count = count
    }

    private init(allocation: Allocation, offset: Int, count: Int) {
        self.allocation = allocation
        self.offset = offset
        self.count = count
    }

    /// A part of it, which shares its memory.
    public subscript(range: Range<Int>) -> CPUBuffer {
        precondition(
            range.lowerBound >= 0 && range.upperBound <= count, "\(range) is not within 0..<\(count)")
        return CPUBuffer(allocation: allocation, offset: offset + range.lowerBound, count: range.count)
    }

    /// Where the values lie, for the kernels; valid as long as this buffer lives.
    @unsafe var pointer: UnsafeMutablePointer<Float> { unsafe allocation.base + offset }
}

/// Pages of zeros from the system, given back with the last buffer on them.
@safe private final class Allocation: Sendable {
    nonisolated(unsafe) let base: UnsafeMutablePointer<Float>
    private let bytes: Int

    init(count: Int) throws(UserFacingError) {
        let bytes = max(count, 1) * MemoryLayout<Float>.stride
        let pages = unsafe mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let pages = unsafe pages, unsafe pages != MAP_FAILED else { throw .outOfMemory(bytes: bytes) }
        // Matrix products walk far apart rows: large pages spare them most address look-ups.
        unsafe madvise(pages, bytes, 14 /* MADV_HUGEPAGE */)
        self.bytes = bytes
        unsafe base = pages.bindMemory(to: Float.self, capacity: max(count, 1))
    }

    deinit { unsafe munmap(base, bytes) }
}
