package typed

// Tuple2 is a tuple of two.
type Tuple2[A, B any] struct {
	A A
	B B
}

// Tuple3 is a tuple of three.
type Tuple3[A, B, C any] struct {
	A A
	B B
	C C
}

// Tuple4 is a tuple of four.
type Tuple4[A, B, C, D any] struct {
	A A
	B B
	C C
	D D
}

// Tuple5 is a tuple of five.
type Tuple5[A, B, C, D, E any] struct {
	A A
	B B
	C C
	D D
	E E
}

// Tuple6 is a tuple of six.
type Tuple6[A, B, C, D, E, F any] struct {
	A A
	B B
	C C
	D D
	E E
	F F
}

// Tuple7 is a tuple of seven.
type Tuple7[A, B, C, D, E, F, G any] struct {
	A A
	B B
	C C
	D D
	E E
	F F
	G G
}

// Tuple8 is a tuple of eight.
type Tuple8[A, B, C, D, E, F, G, H any] struct {
	A A
	B B
	C C
	D D
	E E
	F F
	G G
	H H
}
