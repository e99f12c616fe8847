Console.WriteLine("cheops 0.1.0");
