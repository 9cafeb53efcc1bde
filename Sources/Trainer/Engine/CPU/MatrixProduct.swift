internal import COpenBLAS

/// A row-major matrix, perhaps kept in fewer bits than it is computed in.
struct Matrix {
    var values: Tensor<CPUBuffer>
    /// Values from one row's start to the next's.
    var stride: Int
    /// The first value's place; that of packed values need not begin a word.
    var start: Int
    /// Whether the product reads it transposed.
    var transposed: Bool

    init(_ values: Tensor<CPUBuffer>, stride: Int, from start: Int = 0, transposed: Bool = false) {
        (self.values, self.stride, self.start, self.transposed) = (values, stride, start, transposed)
    }

    var isPacked: Bool { values.precision != .f32 }

    /// Where the values from row `i` and column `j` of the factor on begin; it is not packed.
    @unsafe func pointer(_ i: Int, _ j: Int) -> UnsafeMutablePointer<Float> {
        unsafe values.storage.pointer + start + (transposed ? j * stride + i : i * stride + j)
    }
}

/// c(m, n) = op(a)(m, k) · op(b)(k, n).
///
/// b, or else c, may be packed: a part of b is unpacked, or a tile of c packed, in its thread's own memory.
struct Product {
    var c: Matrix, a: Matrix, b: Matrix
    var m: Int, n: Int, k: Int
}

extension CPUEngine {
    /// c(m, n) = op(a)(m, k) · op(b)(k, n), added to c when `accumulate`.
    func multiply(_ c: Matrix, _ a: Matrix, _ b: Matrix, m: Int, n: Int, k: Int, accumulate: Bool) {
        multiply([Product(c: c, a: a, b: b, m: m, n: n, k: k)], accumulate: accumulate)
    }

    /// Carries out products side by side; each is added to its c when `accumulate`.
    func multiply(_ products: [Product], accumulate: Bool) {
        precondition(products.allSatisfy { !$0.a.isPacked && !($0.b.isPacked && $0.c.isPacked) })
        let tiles = Self.tiles(of: products)
        let isPacked = products.contains { $0.b.isPacked || $0.c.isPacked }
        let memory = isPacked ? scratch(count: threads * Self.tileMemory) : nil
        pool.run(.matrixProduct, tiles.count) { task, thread in
            let tile = tiles[task]
            let (product, rows, columns) = (products[tile.product], tile.rows, tile.columns)
            let (c, a, b, k) = (product.c, product.a, product.b, product.k)
            let own = memory?[thread * Self.tileMemory..<(thread + 1) * Self.tileMemory]
            if k == 0 {
                if !accumulate { unsafe zero(c, rows, columns) }
            } else if let own, c.isPacked {
                unsafe packedTile(c, a, b, rows, columns, k, accumulate, own.pointer)
            } else if let own, b.isPacked {
                unsafe tileOfPacked(c, a, b, rows, columns, k, accumulate, own.pointer)
            } else {
                unsafe sgemm(
                    c.pointer(rows.lowerBound, columns.lowerBound), c.stride, a,
                    b.pointer(0, columns.lowerBound), b.stride, b.transposed, rows, columns.count,
                    0..<k, accumulate)
            }
        }
    }

    /// A part of a product's output, which one thread computes.
    private struct Tile {
        var product: Int
        var rows: Range<Int>, columns: Range<Int>
    }

    /// The tiles of all products, whose sizes depend on the products' alone.
    private static func tiles(of products: [Product]) -> [Tile] {
        func tiles(splittingInto least: Int) -> [Tile] {
            var tiles: [Tile] = []
            for (index, product) in products.enumerated() where product.m > 0 && product.n > 0 {
                let size = tile(m: product.m, n: product.n, splittingInto: least)
                for i in stride(from: 0, to: product.m, by: size.m) {
                    for j in stride(from: 0, to: product.n, by: size.n) {
                        tiles.append(
                            Tile(
                                product: index, rows: i..<min(i + size.m, product.m),
                                columns: j..<min(j + size.n, product.n)))
                    }
                }
            }
            return tiles
        }
        let whole = products.count > 1 ? tiles(splittingInto: 1) : []
        return whole.count >= 4 ? whole : tiles(splittingInto: 4)
    }

    /// Values that a thread may need to unpack a part of a factor, or to compute a tile that is packed then.
    static let tileMemory = largestTile.m * largestTile.n

    /// The largest tile of an output.
    private static let largestTile = (m: 512, n: 768)

    /// The size of the output tiles of a product.
    ///
    /// Tiles of 512 × 768 run at the rate of whole products (measured: 100 GFLOP/s, 94 with 256 × 384); a product
    /// that has fewer than `least` of them is split further, so that as many threads find work.
    static func tile(m: Int, n: Int, splittingInto least: Int = 4) -> (m: Int, n: Int) {
        var tile = (m: evenly(m, at: largestTile.m), n: evenly(n, at: largestTile.n))
        func count(_ size: Int, _ tile: Int) -> Int { (size + tile - 1) / tile }
        while count(m, tile.m) * count(n, tile.n) < least, max(tile.m, tile.n) >= 128 {
            if tile.n >= tile.m {
                tile.n = evenly(tile.n, at: tile.n / 2)
            } else {
                tile.m = evenly(tile.m, at: tile.m / 2)
            }
        }
        return tile
    }

    /// The length of equal pieces of `count` that are about `most` long, a multiple of 16.
    private static func evenly(_ count: Int, at most: Int) -> Int {
        let pieces = max(1, (count + most - 1) / most)
        return ((count + pieces - 1) / pieces + 15) / 16 * 16
    }
}

/// One tile of c, from a's `rows` and `inner` columns and what stands at `b`.
@unsafe private func sgemm(
    _ c: UnsafeMutablePointer<Float>, _ cStride: Int, _ a: Matrix, _ b: UnsafePointer<Float>, _ bStride: Int,
    _ bTransposed: Bool, _ rows: Range<Int>, _ columns: Int, _ inner: Range<Int>, _ accumulate: Bool
) {
    unsafe cob_sgemm(
        a.transposed ? 1 : 0, bTransposed ? 1 : 0, rows.count, columns, inner.count, 1,
        a.pointer(rows.lowerBound, inner.lowerBound), a.stride, b, bStride, accumulate ? 1 : 0, c, cStride)
}

/// A tile of a packed c: computed in float32, rounded once.
@unsafe private func packedTile(
    _ c: Matrix, _ a: Matrix, _ b: Matrix, _ rows: Range<Int>, _ columns: Range<Int>, _ k: Int,
    _ accumulate: Bool, _ memory: UnsafeMutablePointer<Float>
) {
    let width = columns.count
    func place(_ row: Int) -> Int { c.start + row * c.stride + columns.lowerBound }
    if accumulate {
        for (index, row) in rows.enumerated() {
            unsafe c.values.unpack(place(row)..<place(row) + width, into: memory + index * width)
        }
    }
    unsafe sgemm(
        memory, width, a, b.pointer(0, columns.lowerBound), b.stride, b.transposed, rows, width, 0..<k,
        accumulate)
    for (index, row) in rows.enumerated() {
        unsafe c.values.pack(memory + index * width, at: place(row), count: width)
    }
}

/// A tile of a product with a packed b, which is unpacked some of k at a time.
@unsafe private func tileOfPacked(
    _ c: Matrix, _ a: Matrix, _ b: Matrix, _ rows: Range<Int>, _ columns: Range<Int>, _ k: Int,
    _ accumulate: Bool, _ memory: UnsafeMutablePointer<Float>
) {
    let depth = 512
    for start in stride(from: 0, to: k, by: depth) {
        let inner = start..<min(start + depth, k)
        let (stored, width) = b.transposed ? (columns, inner) : (inner, columns)
        for (index, row) in stored.enumerated() {
            let first = b.start + row * b.stride + width.lowerBound
            unsafe b.values.unpack(first..<first + width.count, into: memory + index * width.count)
        }
        unsafe sgemm(
            c.pointer(rows.lowerBound, columns.lowerBound), c.stride, a, memory, width.count, b.transposed,
            rows, columns.count, inner, accumulate || start > 0)
    }
}

/// A tile of a product whose factors have nothing in common to sum over.
@unsafe private func zero(_ c: Matrix, _ rows: Range<Int>, _ columns: Range<Int>) {
    for row in rows {
        unsafe c.values.zero(at: c.start + row * c.stride + columns.lowerBound, count: columns.count)
    }
}
